//! What every session must do, wherever its engine is: the rules of the documentation, a test each, and models.
//!
//! The same tests run against the engine in this process and over each kind of wire; who includes this module says how
//! by `crate::connect`.

mod access;
mod classify;
mod codes;
mod common;
mod enumerators;
mod events;
mod follow;
mod life;
mod lifetimes;
mod model;
mod objects;
mod programs;
mod statistics;
mod threads;
mod transactions;
