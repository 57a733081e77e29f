//! Writes a capture of this machine's kernel state into a directory.
//!
//! Run it with `cargo run -p openwfp-xfrm --example capture -- DIRECTORY`. The files contain the keys
//! of the SAs, so take captures only on machines whose keys are disposable.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory: PathBuf = std::env::args_os().nth(1).ok_or("name a directory")?.into();
    let raw = openwfp_xfrm::live::dump()?;
    if let Some(why) = raw.lost {
        return Err(why.into());
    }
    openwfp_xfrm::capture::write(&directory, &raw)?;
    Ok(())
}
