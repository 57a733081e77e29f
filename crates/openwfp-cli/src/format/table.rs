//! The table of SA contexts.

use super::rows::Cells;
use super::rows::Column;
use super::rows::Rows;
use super::words;
use crate::sa::End;
use crate::sa::Listing;
use anstyle::AnsiColor;
use anstyle::Style;
use openwfp::api::Direction;
use openwfp::api::KeyAccess;
use openwfp::api::SaContext;
use openwfp::api::SaDetails;
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

/// A column, and what writes its cells.
type OfContext = (Column, fn(&SaContext, &mut String));

/// A table of SA contexts.
pub(crate) struct Table {
    columns: Vec<OfContext>,
    rows: Rows,
    keys: Option<KeyAccess>,
}

impl Table {
    pub(crate) fn new(width: Width, keys: Option<KeyAccess>, colors: bool) -> Table {
        let mut columns = columns();
        if width == Width::Wide {
            columns.extend(wide_columns());
        }
        let layout: Vec<Column> = columns.iter().map(|(column, _)| *column).collect();
        Table { columns, rows: Rows::new(layout, width == Width::Wide, colors), keys }
    }
}

impl Listing for Table {
    fn page(&mut self, out: &mut dyn Write, contexts: &[Arc<SaContext>]) -> io::Result<()> {
        if contexts.is_empty() {
            return Ok(());
        }
        let mut cells = Cells::default();
        for context in contexts {
            for (_, write) in &self.columns {
                cells.add(|cell| write(context, cell));
            }
        }
        self.rows.begin(out, &cells)?;
        let mut cells = cells.iter();
        for context in contexts {
            self.rows.line(out, &mut cells, style)?;
            if let Some(access) = &self.keys {
                write_keys(out, context, access)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, end: &End<'_>) -> io::Result<()> {
        let plural = if end.count == 1 { "" } else { "s" };
        write!(out, "{} SA context{plural}", end.count)?;
        if let Some(after) = &end.more_after {
            write!(out, ", and there are more: --after {after}")?;
        }
        if let Some(why) = end.incomplete {
            write!(out, ", INCOMPLETE: {}", words::escaped(why))?;
        }
        let hidden = self.rows.hidden();
        if !hidden.is_empty() {
            write!(out, " (no room for {}: see -o wide)", hidden.join(", "))?;
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

fn style(heading: &str, cell: &str) -> Style {
    let color = match (heading, cell) {
        ("STATE", "complete") => AnsiColor::Green,
        ("STATE", "expiring") => AnsiColor::Red,
        ("STATE", _) => AnsiColor::Yellow,
        _ => return Style::new(),
    };
    color.on_default()
}

fn columns() -> Vec<OfContext> {
    let column = |heading, left_out, cell| -> OfContext { (Column::text(heading, left_out), cell) };
    vec![
        column("ID", 0, |context, cell| put(cell, &context.id)),
        column("STATE", 1, |context, cell| cell.push_str(context.state.word())),
        column("LOCAL", 2, |context, cell| put(cell, &context.traffic.endpoints.local())),
        column("REMOTE", 0, |context, cell| put(cell, &context.traffic.endpoints.remote())),
        column("MODE", 6, |context, cell| put(cell, &context.traffic.mode)),
        column("LOCAL NET", 3, |context, cell| net(context, 0, cell)),
        column("REMOTE NET", 3, |context, cell| net(context, 1, cell)),
        column("SPI IN", 0, |context, cell| match words::larval_spi(context) {
            Some(spi) => put(cell, &spi),
            None => spis(context.inbound.as_ref(), cell),
        }),
        column("SPI OUT", 0, |context, cell| spis(context.outbound.as_ref(), cell)),
        column("TRANSFORM", 4, |context, cell| of(either(context), words::transforms, cell)),
        column("LIFETIME", 7, |context, cell| of(either(context), words::lifetime, cell)),
    ]
}

fn wide_columns() -> Vec<OfContext> {
    let column = |heading, cell| -> OfContext { (Column::text(heading, 0), cell) };
    vec![
        column("ADDED", |context, cell| {
            let added = either(context).and_then(words::linux).map_or(0, |linux| linux.added);
            or_dash(words::time(added).as_deref(), cell);
        }),
        column("BYTES IN", |context, cell| traffic(context, Direction::Inbound, |(bytes, _)| bytes, cell)),
        column("BYTES OUT", |context, cell| traffic(context, Direction::Outbound, |(bytes, _)| bytes, cell)),
        column("PACKETS IN", |context, cell| {
            traffic(context, Direction::Inbound, |(_, number)| number, cell);
        }),
        column("PACKETS OUT", |context, cell| {
            traffic(context, Direction::Outbound, |(_, number)| number, cell);
        }),
        column("REQID", |context, cell| {
            linux_cell(context, |linux| (linux.reqid != 0).then(|| linux.reqid.to_string()), cell);
        }),
        column("WINDOW", |context, cell| {
            let inbound = context.inbound.as_ref().and_then(words::linux);
            or_dash(inbound.map(|linux| linux.replay_window.to_string()).as_deref(), cell);
        }),
        column("UDP", |context, cell| {
            let encapsulation = either(context).and_then(|details| details.udp_encapsulation);
            let ports = encapsulation.map(|udp| format!("{}-{}", udp.local_port, udp.remote_port));
            or_dash(ports.as_deref(), cell);
        }),
        column("MARK", |context, cell| {
            let mark = |linux: &openwfp::api::LinuxSa| {
                linux.mark().map(|mark| format!("{:#x}/{:#x}", mark.value, mark.mask))
            };
            linux_cell(context, mark, cell);
        }),
        column("IF_ID", |context, cell| {
            linux_cell(context, |linux| (linux.if_id() != 0).then(|| format!("{:#x}", linux.if_id())), cell);
        }),
    ]
}

/// Writes a value into a cell.
fn put(cell: &mut String, value: &dyn std::fmt::Display) {
    use std::fmt::Write as _;
    // Writing to a string cannot fail.
    let _ = write!(cell, "{value}");
}

fn or_dash(text: Option<&str>, cell: &mut String) {
    cell.push_str(text.unwrap_or("-"));
}

fn linux_cell(context: &SaContext, of: impl Fn(&openwfp::api::LinuxSa) -> Option<String>, cell: &mut String) {
    or_dash(either(context).and_then(words::linux).and_then(of).as_deref(), cell);
}

fn traffic(context: &SaContext, direction: Direction, which: fn((u64, u64)) -> u64, cell: &mut String) {
    match context.details(direction) {
        Some(_) => put(cell, &which(context.counters.direction(direction).traffic())),
        None => cell.push('-'),
    }
}

/// Returns the outbound details, or else the inbound ones.
fn either(context: &SaContext) -> Option<&SaDetails> {
    context.outbound.as_ref().or(context.inbound.as_ref())
}

fn of(details: Option<&SaDetails>, text: impl Fn(&SaDetails) -> String, cell: &mut String) {
    or_dash(details.map(text).as_deref(), cell);
}

/// Writes the SPIs of a direction's bundle.
fn spis(details: Option<&SaDetails>, cell: &mut String) {
    let Some(details) = details else { return cell.push('-') };
    for (place, sa) in details.bundle.sas.iter().enumerate() {
        if place > 0 {
            cell.push('+');
        }
        put(cell, &sa.spi);
    }
}

/// Writes a side of the first pair of networks, and the number of the other pairs.
fn net(context: &SaContext, side: usize, cell: &mut String) {
    let Some(first) =
        context.selectors.first().copied().or_else(|| words::protected(context).first().copied())
    else {
        return cell.push('-');
    };
    if first.protocol == 0 && first.local_port.is_any() && first.remote_port.is_any() {
        put(cell, if side == 0 { &first.local } else { &first.remote });
    } else {
        cell.push_str(&first.sides()[side]);
    }
    if context.selectors.len() > 1 {
        put(cell, &format_args!(" +{}", context.selectors.len() - 1));
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
        let mut table = Table::new(Width::Wide, None, false);
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
