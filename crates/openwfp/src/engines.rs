//! Several named engines that are served together.

use crate::Engine;
use crate::EngineUrl;
use crate::XfrmNamespace;
use crate::url::is_name;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::FilterEngine;
use openwfp_api::Result;
use openwfp_api::Session;
use openwfp_api::SessionOptions;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Several named engines. A session selects one with [`SessionOptions::engine`], and gets the first
/// engine if it selects none.
///
/// ```
/// use openwfp::{Engine, Engines, SessionOptions};
///
/// let engine = || Engine::at(&"memory:".parse()?);
/// let engines = Engines::new(vec![("red".to_owned(), engine()?), ("blue".to_owned(), engine()?)])?;
/// let session = engines.open_session(SessionOptions::new().engine("blue"))?;
/// assert!(engines.open_session(SessionOptions::new().engine("green")).is_err());
/// # use openwfp::api::FilterEngine;
/// # drop(session);
/// # Ok::<(), openwfp::api::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Engines(Vec<(String, Engine)>);

impl Engines {
    /// Combines named engines. The first is the default.
    ///
    /// # Errors
    /// `FWP_E_ALREADY_EXISTS` if two engines have the same name.
    pub fn new(engines: Vec<(String, Engine)>) -> Result<Engines> {
        for (place, (name, _)) in engines.iter().enumerate() {
            if engines[..place].iter().any(|(other, _)| other == name) {
                let what = format!("two engines are named \"{name}\"");
                return Err(Error::new(Code::FWP_E_ALREADY_EXISTS, what)
                    .with_remedy("Give each engine a name of its own: --engine NAME=URL"));
            }
        }
        Ok(Engines(engines))
    }

    /// Returns an iterator over the engines and their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Engine)> {
        self.0.iter().map(|(name, engine)| (name.as_str(), engine))
    }
}

impl FilterEngine for Engines {
    fn open_session(&self, options: SessionOptions) -> Result<Arc<dyn Session>> {
        let found = match options.engine.as_str() {
            "" => self.0.first(),
            name => self.0.iter().find(|(other, _)| other == name),
        };
        let Some((_, engine)) = found else {
            let names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
            let what = format!("no engine is named \"{}\"", options.engine);
            return Err(Error::new(Code::FWP_E_NOT_FOUND, what)
                .with_remedy(format!("The engines are: {}.", names.join(", "))));
        };
        engine.open_session(SessionOptions { engine: String::new(), ..options })
    }
}

/// `[NAME=]URL`: an engine's URL and the name under which it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedUrl {
    /// The engine's name. Defaults to the name of its network namespace, otherwise to the kind of engine.
    pub name: String,
    /// The engine's URL.
    pub url: EngineUrl,
}

impl From<EngineUrl> for NamedUrl {
    fn from(url: EngineUrl) -> NamedUrl {
        let name = match &url {
            EngineUrl::Capture(_) => "capture".to_owned(),
            EngineUrl::Memory => "memory".to_owned(),
            EngineUrl::Xfrm(target) => match &target.namespace {
                XfrmNamespace::Own => "xfrm".to_owned(),
                XfrmNamespace::Named(name) => name.clone(),
                XfrmNamespace::Process(id) => format!("pid-{id}"),
            },
            EngineUrl::Remote { .. } => "remote".to_owned(),
        };
        NamedUrl { name, url }
    }
}

impl FromStr for NamedUrl {
    type Err = Error;

    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` for an invalid URL.
    fn from_str(text: &str) -> Result<NamedUrl> {
        match text.split_once('=') {
            Some((name, url)) if is_name(name) => Ok(NamedUrl { name: name.to_owned(), url: url.parse()? }),
            _ => Ok(NamedUrl::from(text.parse::<EngineUrl>()?)),
        }
    }
}

impl fmt::Display for NamedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NamedUrl::from(self.url.clone()).name == self.name {
            true => self.url.fmt(f),
            false => write!(f, "{}={}", self.name, self.url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engines_name_is_what_is_said_or_what_fits() {
        for (text, name) in [
            ("xfrm:", "xfrm"),
            ("xfrm:netns=blue", "blue"),
            ("xfrm:pid=7", "pid-7"),
            ("memory:", "memory"),
            ("red=xfrm:netns=blue", "red"),
            ("test=memory:", "test"),
        ] {
            let named: NamedUrl = text.parse().unwrap();
            assert_eq!((named.name.as_str(), named.to_string().as_str()), (name, text));
        }
        assert!("a b=memory:".parse::<NamedUrl>().is_err());
        let twice = || ("one".to_owned(), Engine::at(&EngineUrl::Memory).unwrap());
        assert_eq!(Engines::new(vec![twice(), twice()]).unwrap_err().code(), Code::FWP_E_ALREADY_EXISTS);
    }
}
