//! The layout of tables, written page by page. The first page decides the columns and their widths. If a later page needs wider
//! ones, the heading is written again above it.

use crate::format::printable::Printable;
use crate::format::printable::is_printable;
use anstyle::Style;
use std::io;
use std::io::Write;

/// A column of a table.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    /// How early the column is left out if the terminal is narrow; 0: never.
    pub(crate) left_out: u8,
    /// Whether its cells are numbers, which are aligned to the right.
    pub(crate) is_number: bool,
}

impl Column {
    pub(crate) const fn text(heading: &'static str, left_out: u8) -> Column {
        Column { heading, left_out, is_number: false }
    }

    pub(crate) const fn number(heading: &'static str, left_out: u8) -> Column {
        Column { heading, left_out, is_number: true }
    }
}

/// The cells of rows, one after the other.
#[derive(Default)]
pub(crate) struct Cells {
    text: String,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl Cells {
    /// Adds the cell that a function writes, escaped.
    pub(crate) fn add(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        if !is_printable(&self.text[start..]) {
            let cell = Printable(&self.text[start..]).to_string();
            self.text.replace_range(start.., &cell);
        }
        self.ends.push(self.text.len());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}

/// A table whose rows have a cell for each column.
pub(crate) struct Rows {
    columns: Vec<Column>,
    /// Width of each column, once the first page has decided them; `None` for a column that is left out.
    widths: Vec<Option<usize>>,
    room: Option<usize>,
    colors: bool,
}

const GAP: usize = 2;
const SPACES: [u8; 256] = [b' '; 256];

impl Rows {
    /// Creates a table that fits the terminal, or one of any width if `wide` is set or there is no terminal.
    pub(crate) fn new(columns: impl Into<Vec<Column>>, wide: bool, colors: bool) -> Rows {
        let room = terminal_size::terminal_size().filter(|_| !wide).map(|(width, _)| usize::from(width.0));
        Rows { columns: columns.into(), widths: Vec::new(), room, colors }
    }

    /// Returns the headings of the columns that have no room.
    pub(crate) fn hidden(&self) -> Vec<&'static str> {
        let hidden = self.columns.iter().zip(&self.widths).filter(|(_, width)| width.is_none());
        hidden.map(|(column, _)| column.heading).collect()
    }

    /// Writes a page of rows; `style` returns the style of a cell by its column's heading and its text.
    pub(crate) fn write(
        &mut self,
        out: &mut dyn Write,
        rows: &[Vec<String>],
        style: fn(&str, &str) -> Style,
    ) -> io::Result<()> {
        let mut cells = Cells::default();
        rows.iter().flatten().for_each(|cell| cells.add(|text| text.push_str(cell)));
        self.begin(out, &cells)?;
        let mut cells = cells.iter();
        rows.iter().try_for_each(|_| self.line(out, &mut cells, style))
    }

    /// Begins a page: makes the columns wide enough for its cells and, if need be, writes the headings.
    pub(crate) fn begin(&mut self, out: &mut dyn Write, cells: &Cells) -> io::Result<()> {
        let is_first = self.widths.is_empty();
        if is_first {
            self.widths = self.columns.iter().map(|column| Some(column.heading.len())).collect();
        }
        let has_grown = self.widen(cells);
        if is_first {
            self.leave_out();
        }
        if is_first || has_grown {
            self.line(out, &mut self.columns.iter().map(|column| column.heading), |_, _| {
                Style::new().bold()
            })?;
        }
        Ok(())
    }

    /// Makes the columns wide enough; returns whether any was too narrow.
    fn widen(&mut self, cells: &Cells) -> bool {
        let (mut has_grown, count) = (false, self.columns.len());
        for (number, cell) in cells.iter().enumerate() {
            if let Some(room) = &mut self.widths[number % count] {
                let needed = width(cell);
                has_grown |= needed > *room;
                *room = needed.max(*room);
            }
        }
        has_grown
    }

    /// Leaves out the least important columns until the others fit.
    fn leave_out(&mut self) {
        let Some(room) = self.room else { return };
        while self.widths.iter().flatten().map(|width| width + GAP).sum::<usize>() > room + GAP {
            let shown = (0..self.columns.len()).filter(|place| self.widths[*place].is_some());
            let least = shown.filter(|place| self.columns[*place].left_out > 0);
            let Some(place) = least.max_by_key(|place| self.columns[*place].left_out) else { break };
            self.widths[place] = None;
        }
    }

    /// Writes a row: the next cells, one for each column.
    pub(crate) fn line<'c>(
        &self,
        out: &mut dyn Write,
        cells: &mut impl Iterator<Item = &'c str>,
        style: impl Fn(&str, &str) -> Style,
    ) -> io::Result<()> {
        let mut pending = 0;
        for ((column, room), cell) in self.columns.iter().zip(&self.widths).zip(cells) {
            let Some(room) = room else { continue };
            let padding = room.saturating_sub(width(cell));
            let (before, after) = if column.is_number { (padding, 0) } else { (0, padding) };
            // Pad before the next cell, so that no line ends in spaces.
            let spaces = pending + before;
            out.write_all(&SPACES[..spaces.min(SPACES.len())])?;
            let style = if self.colors { style(column.heading, cell) } else { Style::new() };
            match style == Style::new() {
                true => out.write_all(cell.as_bytes())?,
                false => write!(out, "{style}{cell}{style:#}")?,
            }
            pending = after + GAP;
        }
        out.write_all(b"\n")
    }
}

/// Returns the number of characters of a cell.
fn width(cell: &str) -> usize {
    if cell.is_ascii() { cell.len() } else { cell.chars().count() }
}
