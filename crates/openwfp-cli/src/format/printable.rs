//! Other people's text on its way to a terminal. Names, descriptions, labels and error texts can contain what moves the cursor,
//! sets the title or hides other text.

use std::fmt;
use std::io;
use std::io::Write;

/// Other people's text. It displays with everything escaped that does not print as itself: control characters, and those that
/// end lines or turn the direction of writing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printable<'t>(pub(crate) &'t str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_printable(self.0) {
            return f.write_str(self.0);
        }
        self.0.chars().try_for_each(|c| match prints(c) {
            true => write!(f, "{c}"),
            false => write!(f, "{}", c.escape_default()),
        })
    }
}

/// Whether a text displays as itself.
pub(crate) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || text.chars().all(prints)
}

/// Whether a character prints as itself.
fn prints(c: char) -> bool {
    !c.is_control() && !is_hidden(c)
}

/// Whether a character shows nothing, or changes how others are shown.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A writer of JSON. In the strings of JSON it escapes what does not print as itself, as JSON allows for any character; the JSON
/// stays the same to programs.
pub(crate) struct Json<W>(pub(crate) W);

impl<W: Write> Write for Json<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
            self.0.write_all(bytes)?;
            return Ok(bytes.len());
        }
        // Whoever writes JSON writes whole characters.
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        let mut begun = 0;
        for (place, c) in text.char_indices().filter(|(_, c)| !prints(*c) && *c != '\n') {
            self.0.write_all(&bytes[begun..place])?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(self.0, "\\u{unit:04x}")?;
            }
            begun = place + c.len_utf8();
        }
        self.0.write_all(&bytes[begun..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// No source prints other people's text as it is. Whoever adds one of these fields to an output wraps it in [`Printable`], or
    /// adds the line to the exceptions, with the reason.
    #[test]
    fn foreign_text_is_always_wrapped() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let foreign = [
            ".name",
            ".description",
            ".user_name",
            ".origin",
            ".reason)",
            ".reason,",
            ".what()",
            ".remedy()",
            ".names",
            "_context.as_",
        ];
        // The names of the program's own sessions, of enumerations, of options, and of what is on this machine.
        let own = [
            "SessionOptions",
            "entry.name",
            "kind.name()",
            "other.name()",
            "outcome.name()",
            "named.name",
            "client.name",
            "rule.name",
            "column.heading",
            "field.name()",
            "args.name",
            "object_name",
            "self.name",
            "json!",
            "cmd.name",
        ];
        let mut checked = 0;
        let mut directories = vec![source];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                    checked += 1;
                    let prints = ["write!", "writeln!", "print", "format!", "format_args!", "complain"];
                    if !prints.iter().any(|call| line.contains(call))
                        || !foreign.iter().any(|field| line.contains(field))
                    {
                        continue;
                    }
                    // Messages and causes become text here, and are wrapped where a Failure is printed.
                    if path.ends_with("failure.rs") && line.contains("error.what()") {
                        continue;
                    }
                    let is_wrapped = line.contains("Printable") || line.contains("escaped(");
                    assert!(
                        is_wrapped || own.iter().any(|own| line.contains(own)),
                        "{}: {line}",
                        path.display()
                    );
                }
            }
        }
        assert!(checked > 3000);
    }

    #[test]
    fn what_does_not_print_is_shown() {
        let text = "a\x1b[2J\nb\u{202e}c\u{9b}é";
        assert_eq!(Printable(text).to_string(), "a\\u{1b}[2J\\nb\\u{202e}c\\u{9b}é");
        let mut out = Vec::new();
        serde_json::to_writer_pretty(Json(&mut out), &serde_json::json!({ "name": text })).unwrap();
        let json = String::from_utf8(out).unwrap();
        assert!(json.contains("a\\u001b[2J\\nb\\u202ec\\u009b\u{e9}"), "{json}");
    }

    proptest! {
        #[test]
        fn json_stays_the_same_and_prints(text in any::<String>()) {
            let mut out = Vec::new();
            serde_json::to_writer(Json(&mut out), &text).unwrap();
            let written = String::from_utf8(out).unwrap();
            prop_assert!(is_printable(&written), "{}", written);
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text.clone());
            prop_assert!(is_printable(&Printable(&text).to_string()));
        }
    }
}
