//! Tables of objects and policies, written page by page. The first page decides the widths of the columns.

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

/// A table whose rows are lists of cells, one for each column.
pub(crate) struct Rows {
    columns: Vec<Column>,
    /// Width of each column, once the first page has decided them; `None` for a column that is left out.
    widths: Vec<Option<usize>>,
    room: Option<usize>,
}

const GAP: usize = 2;

impl Rows {
    /// Creates a table that fits the terminal, or one of any width if `wide` is set or there is no terminal.
    pub(crate) fn new(columns: &[Column], wide: bool) -> Rows {
        let room = terminal_size::terminal_size().filter(|_| !wide).map(|(width, _)| usize::from(width.0));
        Rows { columns: columns.to_vec(), widths: Vec::new(), room }
    }

    /// Returns the headings of the columns that have no room.
    pub(crate) fn hidden(&self) -> Vec<&'static str> {
        let hidden = self.columns.iter().zip(&self.widths).filter(|(_, width)| width.is_none());
        hidden.map(|(column, _)| column.heading).collect()
    }

    /// Writes rows, the first time below the headings; `style` returns the style of a cell by its column's heading and its text.
    pub(crate) fn write(
        &mut self,
        out: &mut dyn Write,
        rows: &[Vec<String>],
        style: fn(&str, &str) -> Style,
    ) -> io::Result<()> {
        if self.widths.is_empty() {
            self.fit(rows);
            let headings: Vec<String> = self.columns.iter().map(|column| column.heading.to_owned()).collect();
            self.line(out, &headings, |_, _| Style::new().bold())?;
        }
        rows.iter().try_for_each(|row| self.line(out, row, style))
    }

    fn fit(&mut self, rows: &[Vec<String>]) {
        let longest = |place: usize| rows.iter().map(|row| row[place].chars().count()).max().unwrap_or(0);
        let widths = self.columns.iter().enumerate();
        self.widths = widths.map(|(place, column)| Some(longest(place).max(column.heading.len()))).collect();
        let Some(room) = self.room else { return };
        while self.widths.iter().flatten().map(|width| width + GAP).sum::<usize>() > room + GAP {
            let shown = (0..self.columns.len()).filter(|place| self.widths[*place].is_some());
            let least = shown.filter(|place| self.columns[*place].left_out > 0);
            let Some(place) = least.max_by_key(|place| self.columns[*place].left_out) else { break };
            self.widths[place] = None;
        }
    }

    fn line(
        &self,
        out: &mut dyn Write,
        cells: &[String],
        style: impl Fn(&str, &str) -> Style,
    ) -> io::Result<()> {
        let mut pending = 0;
        for ((column, cell), width) in self.columns.iter().zip(cells).zip(&self.widths) {
            let Some(width) = width else { continue };
            let padding = width.saturating_sub(cell.chars().count());
            let (before, after) = if column.is_number { (padding, 0) } else { (0, padding) };
            // Pad before the next cell, so that no line ends in spaces.
            let spaces = pending + before;
            let style = style(column.heading, cell);
            write!(out, "{:spaces$}{style}{cell}{style:#}", "")?;
            pending = after + GAP;
        }
        writeln!(out)
    }
}
