//! Takes a capture of this machine's kernel: `cargo run --example capture -- DIRECTORY`.
//!
//! The files hold the SAs' keys; take captures where the keys are throw-away.

use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory: PathBuf = std::env::args_os().nth(1).ok_or("name a directory")?.into();
    let raw = openwfp_xfrm::live::dump()?;
    if let Some(why) = raw.lost {
        return Err(why.into());
    }
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(openwfp_xfrm::capture::STATES), raw.states)?;
    fs::write(directory.join(openwfp_xfrm::capture::POLICIES), raw.policies.unwrap_or_default())?;
    fs::write(directory.join(openwfp_xfrm::capture::ADDRESSES), raw.addresses.unwrap_or_default())?;
    Ok(())
}
