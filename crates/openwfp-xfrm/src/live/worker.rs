//! Threads that run until their owner no longer needs them.

use nix::sys::eventfd::EventFd;
use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Result;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Handle to a thread; dropping it stops the thread and waits for its end.
pub struct Worker {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread, which has to end once the descriptor that it gets becomes readable.
    ///
    /// # Errors
    /// `RPC_E_OUT_OF_RESOURCES` if the system has no descriptor or thread left.
    pub fn start(name: &str, run: impl FnOnce(&EventFd) + Send + 'static) -> Result<Worker> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Error::new(Code::RPC_E_OUT_OF_RESOURCES, format!("{what}: {error}"))
        };
        let stop = Arc::new(EventFd::new().map_err(|e| failed("cannot create an event descriptor", &e))?);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&stopped))
            .map_err(|e| failed(&format!("cannot start the thread {name}"), &e))?;
        Ok(Worker { stop, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.stop.write(1);
        // The thread itself may drop the last reference to the engine; it cannot join itself.
        if let Some(thread) = self.thread.take().filter(|it| it.thread().id() != std::thread::current().id())
        {
            let _ = thread.join();
        }
    }
}
