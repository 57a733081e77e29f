//! The URLs of engines.

use openwfp_api::Code;
use openwfp_api::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which engine to open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineUrl {
    /// `capture:DIR`: the SAs of a kernel as a capture holds them.
    Capture(PathBuf),
    /// `memory:`: an engine in this process, with no SAs but those that are added to it.
    Memory,
    /// `xfrm:`: the SAs of this network namespace's kernel.
    Xfrm,
}

impl FromStr for EngineUrl {
    type Err = Error;

    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` for what names no engine.
    fn from_str(text: &str) -> Result<EngineUrl, Error> {
        let bad = |what: String| {
            Error::new(Code::FWP_E_INVALID_PARAMETER, what).with_remedy(
                "engines are capture:DIR (a capture's directory), xfrm: (this machine's kernel) and memory: (this \
                 process' own)",
            )
        };
        match text.split_once(':') {
            Some(("capture", "")) => Err(bad("the engine \"capture:\" names no directory".into())),
            Some(("capture", directory)) => Ok(EngineUrl::Capture(directory.into())),
            Some(("memory", "")) => Ok(EngineUrl::Memory),
            Some(("xfrm", "")) => Ok(EngineUrl::Xfrm),
            Some((scheme @ ("memory" | "xfrm"), rest)) => {
                Err(bad(format!("the engine \"{scheme}:\" takes nothing, not \"{rest}\"")))
            }
            _ => Err(bad(format!("\"{text}\" is no engine's URL"))),
        }
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineUrl::Capture(directory) => write!(f, "capture:{}", directory.display()),
            EngineUrl::Memory => f.write_str("memory:"),
            EngineUrl::Xfrm => f.write_str("xfrm:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_they_are_written() {
        for text in ["capture:samples/strongswan-16", "capture:/var/a:b", "memory:", "xfrm:"] {
            assert_eq!(text.parse::<EngineUrl>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_engine_is_refused_with_what_does() {
        for text in
            ["", "capture:", "capture", "xfrm", "xfrm:eth0", "memory:1", "https:", "samples/strongswan-16"]
        {
            let error = text.parse::<EngineUrl>().unwrap_err();
            assert_eq!(error.code(), Code::FWP_E_INVALID_PARAMETER, "{text}");
            assert!(error.remedy().unwrap().contains("capture:DIR"));
        }
    }
}
