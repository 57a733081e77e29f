//! Tables that are written page by page. The first page decides the columns and their widths. If a later page needs wider ones,
//! the heading is written again above it.

use super::words;
use crate::sa::End;
use crate::sa::Listing;
use anstyle::AnsiColor;
use anstyle::Style;
use openwfp::api::Direction;
use openwfp::api::KeyAccess;
use openwfp::api::SaContext;
use openwfp::api::SaDetails;
use openwfp::api::SaState;
use std::io;
use std::io::Write;
use std::sync::Arc;

/// The width of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// The terminal's width, without the least important columns; unlimited if there is no terminal.
    OfTerminal,
    /// All columns.
    Wide,
}

/// A column: its heading, how early it is omitted (0: never), and its cell.
struct Column {
    heading: &'static str,
    left_out: u8,
    cell: fn(&SaContext) -> String,
}

/// A table of SA contexts.
pub(crate) struct Table {
    columns: Vec<Column>,
    /// Widths in characters, once the first page has decided them.
    widths: Option<Vec<usize>>,
    hidden: Vec<&'static str>,
    room: Option<usize>,
    keys: Option<KeyAccess>,
}

const GAP: usize = 2;

impl Table {
    pub(crate) fn new(width: Width, keys: Option<KeyAccess>) -> Table {
        let mut columns = columns();
        if width == Width::Wide {
            columns.extend(wide_columns());
        }
        let room = match width {
            Width::OfTerminal => terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
            Width::Wide => None,
        };
        Table { columns, widths: None, hidden: Vec::new(), room, keys }
    }

    /// Decides the columns and their widths from the first page.
    fn fit(&mut self, rows: &[Vec<String>]) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.heading.len()).collect();
        widen(&mut widths, rows);
        let Some(room) = self.room else { return widths };
        while widths.iter().map(|width| width + GAP).sum::<usize>() > room + GAP {
            let least = (0..self.columns.len()).max_by_key(|at| self.columns[*at].left_out);
            let Some(at) = least.filter(|at| self.columns[*at].left_out > 0) else { break };
            self.hidden.push(self.columns.remove(at).heading);
            widths.remove(at);
        }
        widths
    }

    fn write_heading(&self, out: &mut dyn Write, widths: &[usize]) -> io::Result<()> {
        let bold = Style::new().bold();
        Table::write_row(out, widths, self.columns.iter().map(|column| (column.heading, bold)))
    }

    fn write_row<'c>(
        out: &mut dyn Write,
        widths: &[usize],
        cells: impl Iterator<Item = (&'c str, Style)>,
    ) -> io::Result<()> {
        let mut pending = 0;
        for ((cell, style), width) in cells.zip(widths) {
            // Pad before the next cell, so that no line ends in spaces.
            write!(out, "{:pending$}{style}{cell}{style:#}", "")?;
            pending = width.saturating_sub(cell.chars().count()) + GAP;
        }
        writeln!(out)
    }

    fn cells(&self, contexts: &[Arc<SaContext>]) -> Vec<Vec<String>> {
        contexts.iter().map(|c| self.columns.iter().map(|column| (column.cell)(c)).collect()).collect()
    }
}

/// Makes widths large enough for some rows; returns whether any was too small.
fn widen(widths: &mut [usize], rows: &[Vec<String>]) -> bool {
    let mut has_grown = false;
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            let needed = cell.chars().count();
            has_grown |= needed > *width;
            *width = needed.max(*width);
        }
    }
    has_grown
}

impl Listing for Table {
    fn page(&mut self, out: &mut dyn Write, contexts: &[Arc<SaContext>]) -> io::Result<()> {
        if contexts.is_empty() {
            return Ok(());
        }
        let mut rows = self.cells(contexts);
        let widths = match self.widths.take() {
            None => {
                let widths = self.fit(&rows);
                // Without the columns for which there is no room.
                rows = self.cells(contexts);
                self.write_heading(out, &widths)?;
                widths
            }
            Some(mut widths) => {
                if widen(&mut widths, &rows) {
                    self.write_heading(out, &widths)?;
                }
                widths
            }
        };
        for (context, row) in contexts.iter().zip(rows) {
            let styles = self.columns.iter().map(|column| match column.heading {
                "STATE" => state_style(context.state),
                _ => Style::new(),
            });
            Table::write_row(out, &widths, row.iter().map(String::as_str).zip(styles))?;
            if let Some(access) = &self.keys {
                write_keys(out, context, access)?;
            }
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, end: &End<'_>) -> io::Result<()> {
        let plural = if end.count == 1 { "" } else { "s" };
        write!(out, "{} SA context{plural}", end.count)?;
        if let Some(after) = &end.more_after {
            write!(out, ", and there are more: --after {after}")?;
        }
        if let Some(why) = end.incomplete {
            write!(out, ", INCOMPLETE: {why}")?;
        }
        if !self.hidden.is_empty() {
            write!(out, " (no room for {}: see -o wide)", self.hidden.join(", "))?;
        }
        writeln!(out)
    }
}

fn write_keys(out: &mut dyn Write, context: &SaContext, access: &KeyAccess) -> io::Result<()> {
    for (direction, details) in context.directions() {
        let direction = match direction {
            Direction::Inbound => "in",
            Direction::Outbound => "out",
        };
        for sa in details.bundle.sas.iter() {
            for key in sa.transform.keys() {
                let text = words::key(key, access).unwrap_or_else(|| "hidden by the kernel".into());
                writeln!(out, "    key {direction} {} {} {text}", sa.spi, sa.transform.protocol())?;
            }
        }
    }
    Ok(())
}

fn state_style(state: SaState) -> Style {
    let color = match state {
        SaState::Complete => AnsiColor::Green,
        SaState::Expiring { .. } => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    color.on_default()
}

fn columns() -> Vec<Column> {
    let column = |heading, left_out, cell| Column { heading, left_out, cell };
    vec![
        column("ID", 0, |context| context.id.to_string()),
        column("STATE", 1, |context| context.state.word().to_owned()),
        column("LOCAL", 2, |context| context.traffic.endpoints.local().to_string()),
        column("REMOTE", 0, |context| context.traffic.endpoints.remote().to_string()),
        column("MODE", 6, |context| context.traffic.mode.to_string()),
        column("LOCAL NET", 3, |context| net(context, 0)),
        column("REMOTE NET", 3, |context| net(context, 1)),
        column("SPI IN", 0, |context| match words::larval_spi(context) {
            Some(spi) => spi.to_string(),
            None => of(context.inbound.as_ref(), words::spis),
        }),
        column("SPI OUT", 0, |context| of(context.outbound.as_ref(), words::spis)),
        column("TRANSFORM", 4, |context| of(either(context), words::transforms)),
        column("LIFETIME", 7, |context| of(either(context), words::lifetime)),
    ]
}

fn wide_columns() -> Vec<Column> {
    let column = |heading, cell| Column { heading, left_out: 0, cell };
    vec![
        column("ADDED", |context| {
            let added = either(context).and_then(words::linux).map_or(0, |linux| linux.added);
            words::time(added).unwrap_or_else(|| "-".into())
        }),
        column("BYTES IN", |context| traffic(context, Direction::Inbound).0),
        column("BYTES OUT", |context| traffic(context, Direction::Outbound).0),
        column("PACKETS IN", |context| traffic(context, Direction::Inbound).1),
        column("PACKETS OUT", |context| traffic(context, Direction::Outbound).1),
        column("REQID", |context| {
            linux_cell(context, |linux| (linux.reqid != 0).then(|| linux.reqid.to_string()))
        }),
        column("WINDOW", |context| {
            let inbound = context.inbound.as_ref().and_then(words::linux);
            inbound.map_or_else(|| "-".into(), |linux| linux.replay_window.to_string())
        }),
        column("UDP", |context| {
            let encapsulation = either(context).and_then(|details| details.udp_encapsulation);
            encapsulation.map_or_else(|| "-".into(), |udp| format!("{}-{}", udp.local_port, udp.remote_port))
        }),
        column("MARK", |context| {
            linux_cell(context, |linux| {
                linux.mark().map(|mark| format!("{:#x}/{:#x}", mark.value, mark.mask))
            })
        }),
        column("IF_ID", |context| {
            linux_cell(context, |linux| (linux.if_id() != 0).then(|| format!("{:#x}", linux.if_id())))
        }),
    ]
}

fn linux_cell(context: &SaContext, cell: fn(&openwfp::api::LinuxSa) -> Option<String>) -> String {
    either(context).and_then(words::linux).and_then(cell).unwrap_or_else(|| "-".into())
}

fn traffic(context: &SaContext, direction: Direction) -> (String, String) {
    if context.details(direction).is_none() {
        return ("-".into(), "-".into());
    }
    let (bytes, packets) = context.counters.direction(direction).traffic();
    (bytes.to_string(), packets.to_string())
}

/// Returns the outbound details, or else the inbound ones.
fn either(context: &SaContext) -> Option<&SaDetails> {
    context.outbound.as_ref().or(context.inbound.as_ref())
}

fn of(details: Option<&SaDetails>, cell: impl Fn(&SaDetails) -> String) -> String {
    details.map_or_else(|| "-".into(), cell)
}

/// Returns a side of the first pair of networks, and the number of the other pairs.
fn net(context: &SaContext, side: usize) -> String {
    match &words::protected(context)[..] {
        [] => "-".into(),
        [one] => one.sides()[side].clone(),
        [first, rest @ ..] => format!("{} +{}", first.sides()[side], rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openwfp::api::Endpoints;
    use openwfp::api::Mode;
    use openwfp::api::SaContextId;
    use openwfp::api::Traffic;

    #[test]
    fn columns_stay_aligned_when_a_later_page_has_wider_values() {
        let context = |id: u64, remote: &str| {
            let remote = remote.parse().unwrap_or_else(|_| panic!("an address"));
            let ends = Endpoints::new([10, 0, 0, 1].into(), remote);
            let ends = ends.unwrap_or_else(|| panic!("of one version"));
            Arc::new(SaContext::new(SaContextId(id), Traffic::new(ends, Mode::Tunnel)))
        };
        let mut table = Table::new(Width::Wide, None);
        let mut out = Vec::new();
        for page in [[context(9, "10.0.0.2")], [context(10_000, "198.51.100.123")], [context(3, "10.0.0.2")]]
        {
            table.page(&mut out, &page).unwrap_or_else(|error| panic!("{error}"));
        }
        let text = anstream::adapter::strip_str(&String::from_utf8_lossy(&out)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        let at = |line: usize, word: &str| lines[line].find(word).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(lines.len(), 5, "two headings, three rows: {text}");
        assert_eq!(at(0, "REMOTE"), at(1, "10.0.0.2"));
        assert_eq!((at(2, "REMOTE"), at(2, "MODE")), (at(3, "198.51.100.123"), at(3, "tunnel")));
        assert_eq!(at(2, "MODE"), at(4, "tunnel"));
    }
}
