//! What becomes of the libraries in the child of `fork`.
//!
//! The child has a copy of the parent's memory, and only the thread that forked. The connections and engines of the parent
//! belong to threads that do not exist in the child, and locks may be held by such threads. So the child begins with new tables:
//! the parent's handles are invalid in it, and it opens sessions of its own. Memory that calls returned before stays valid, and
//! can be freed: while a process forks, no thread has the locks of the table of blocks.

use crate::memory;
use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Number of generations of processes, each the child of the one before, that have tables of their own. Later ones share theirs.
const GENERATIONS: usize = 64;

/// Number of forks between the process that loaded the library and this one.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// A value of this process, created on its first use; the child of a fork has another one.
pub(crate) struct PerProcess<T> {
    values: [OnceLock<T>; GENERATIONS],
    new: fn() -> T,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new(new: fn() -> T) -> PerProcess<T> {
        PerProcess { values: [const { OnceLock::new() }; GENERATIONS], new }
    }

    pub(crate) fn get(&self) -> &T {
        // No child looks at the place of an earlier generation, where a thread that is gone may be at work.
        let generation = GENERATION.load(Ordering::Relaxed).min(GENERATIONS - 1);
        self.values[generation].get_or_init(self.new)
    }
}

thread_local! {
    /// The locks of the table of blocks while this thread forks.
    static HELD: RefCell<Vec<memory::Held>> = const { RefCell::new(Vec::new()) };
}

/// Has the system call [`watch_forks`] when it loads the library, before any thread can use it.
// SAFETY: the section holds pointers to functions that take no arguments that this one needs, and return nothing.
#[cfg(not(miri))]
#[used]
#[unsafe(link_section = ".init_array")]
static WATCH: extern "C" fn() = watch_forks;

#[cfg_attr(miri, expect(dead_code, reason = "Miri runs no initializers"))]
extern "C" fn watch_forks() {
    // SAFETY: the handlers are functions of this library, which is never unloaded: it leaves threads behind. They take and release
    // locks, which is allowed in a process with several threads as long as the child does not wait: it releases only what its own
    // thread has taken. It can only fail for want of memory; then a child has no protection.
    unsafe {
        libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
    }
}

extern "C" fn before() {
    // A thread that is ending has no such variable any more, and none of the locks either.
    let _ = HELD.try_with(|held| held.borrow_mut().extend(memory::hold()));
}

extern "C" fn in_parent() {
    let _ = HELD.try_with(|held| held.borrow_mut().clear());
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    in_parent();
}
