//! Formats of SA contexts: tables, single contexts, JSON.

pub(crate) mod json;
pub(crate) mod rows;
pub(crate) mod show;
pub(crate) mod table;
pub(crate) mod words;
