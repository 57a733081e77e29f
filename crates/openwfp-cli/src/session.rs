//! `wfp session`, which lists and ends the sessions of an engine's clients.

use crate::args::Format;
use crate::args::SessionCloseArgs;
use crate::args::SessionListArgs;
use crate::change::confirm;
use crate::failure::Failure;
use crate::format;
use crate::format::printable::Json;
use crate::format::printable::Printable;
use crate::format::rows::Column;
use crate::format::rows::Rows;
use crate::format::words;
use anstyle::AnsiColor;
use anstyle::Style;
use openwfp::Engine;
use openwfp::SessionOptions;
use openwfp::api::Code;
use openwfp::api::Error;
use openwfp::api::SessionInfo;
use openwfp::api::SessionNumber;
use openwfp::api::Timestamp;
use openwfp::api::TransactionMode;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) fn list(engine: &Engine, args: &SessionListArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp session list"))?;
    let sessions = sessions(&*session)?;
    let (mut out, colors) = format::stdout();
    match args.output.output {
        Format::Table | Format::Wide => {
            let columns = [
                Column::number("ID", 0),
                Column::text("USER", 0),
                Column::text("FROM", 2),
                Column::number("PROCESS", 3),
                Column::number("AGE", 4),
                Column::text("TXN", 0),
                Column::number("TXN-AGE", 0),
                Column::text("NAME", 1),
            ];
            let mut table = Rows::new(columns, args.output.output == Format::Wide, colors);
            let rows: Vec<Vec<String>> = sessions.iter().map(|info| row(info)).collect();
            table.write(&mut out, &rows, |heading, cell| match heading {
                "TXN" if cell == "read/write" => AnsiColor::Yellow.on_default(),
                _ => Style::new(),
            })?;
            writeln!(out, "{} session{}", sessions.len(), if sessions.len() == 1 { "" } else { "s" })?;
        }
        Format::Json => {
            let list: Vec<_> = sessions.iter().map(|info| to_json(info)).collect();
            let json = json!({ "version": 1, "sessions": list, "count": sessions.len() });
            writeln!(Json(&mut out), "{json:#}")?;
        }
        Format::Jsonl => {
            for info in &sessions {
                let mut json = to_json(info);
                json["version"] = 1.into();
                writeln!(Json(&mut out), "{json}")?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

pub(crate) fn close(engine: &Engine, args: &SessionCloseArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp session close"))?;
    let open = sessions(&*session)?;
    let find = |number: &u32| {
        open.iter().find(|info| info.number.0 == *number).cloned().ok_or_else(|| {
            Error::new(Code::FWP_E_NOT_FOUND, format!("session {number} is not open"))
                .with_remedy("See `wfp session list`.")
        })
    };
    let wanted: Vec<_> = args.numbers.iter().map(find).collect::<Result<_, _>>()?;
    let described = |info: &SessionInfo| {
        format!("session {} of {}, \"{}\"", info.number.0, user(info), Printable(&info.name))
    };
    if !args.yes {
        let mut out = anstream::stdout().lock();
        for info in &wanted {
            writeln!(out, "{}", described(info))?;
        }
        let them = if wanted.len() == 1 {
            "it, and abort its transaction"
        } else {
            "them, and abort their transactions"
        };
        confirm(&mut out, &format!("end {them}?"))?;
    }
    for info in &wanted {
        session.session_end(info.number)?;
        anstream::println!("ended: {}", described(info));
    }
    Ok(())
}

/// Returns the open sessions.
fn sessions(session: &dyn openwfp::api::Session) -> Result<Vec<Arc<SessionInfo>>, Error> {
    /// Sessions in a page.
    const PAGE: u32 = 1000;
    let enumerator = session.session_create_enum()?;
    let mut all: Vec<Arc<SessionInfo>> = Vec::new();
    loop {
        let page = session.session_enum(enumerator, PAGE)?.accept();
        let is_last = page.len() < PAGE as usize;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn user(info: &SessionInfo) -> String {
    match info.user_name.as_str() {
        "" => info.user.to_string(),
        name => Printable(name).to_string(),
    }
}

fn row(info: &SessionInfo) -> Vec<String> {
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    vec![
        info.number.0.to_string(),
        user(info),
        or_none(info.origin.clone()),
        or_none(if info.process_id == 0 { String::new() } else { info.process_id.to_string() }),
        age(info.opened),
        or_none(info.transaction.map_or_else(String::new, |transaction| mode(transaction.mode).to_owned())),
        or_none(info.transaction.map_or_else(String::new, |transaction| age(transaction.began))),
        or_none(info.name.clone()),
    ]
}

/// Returns how long ago something was, without spaces.
fn age(since: Timestamp) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    words::duration(now.as_secs().saturating_sub(since.0)).replace(' ', "")
}

fn mode(mode: TransactionMode) -> &'static str {
    match mode {
        TransactionMode::ReadWrite => "read/write",
        TransactionMode::ReadOnly => "read-only",
    }
}

fn to_json(info: &SessionInfo) -> serde_json::Value {
    let SessionNumber(number) = info.number;
    let transaction = info.transaction.map(
        |transaction| json!({ "mode": mode(transaction.mode), "since": words::time(transaction.began.0) }),
    );
    json!({
        "session": number,
        "key": info.key.to_string(),
        "user": info.user.to_string(),
        "user_name": info.user_name,
        "process_id": info.process_id,
        "origin": info.origin,
        "name": info.name,
        "description": info.description,
        "dynamic": info.dynamic,
        "opened": words::time(info.opened.0),
        "transaction": transaction,
    })
}
