//! Whether there is room for a copy, known before it is begun.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// What a compressed dump is at least, as a part of the tables: what does not fit then will not fit.
pub(super) const COMPRESSED: u64 = 10;

/// Something that will be written.
pub(super) struct Need {
    pub(super) place: PathBuf,
    pub(super) bytes: u64,
}

/// Refuses what cannot fit. A place that cannot be seen is passed over: what is done there will say why.
pub(super) fn look(needs: &[Need]) -> Result<()> {
    let mut disks: BTreeMap<u64, (&Path, u64)> = BTreeMap::new();
    for need in needs {
        if let Ok(place) = fs::metadata(&need.place) {
            disks.entry(place.dev()).or_insert((&need.place, 0)).1 += need.bytes;
        }
    }
    for (place, bytes) in disks.values() {
        let Ok(disk) = rustix::fs::statvfs(*place) else {
            continue;
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < *bytes {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "the copy of production needs about {} MB in \"{}\", and {} MB are free there",
                    bytes.div_ceil(1_000_000),
                    place.display(),
                    free / 1_000_000
                ),
            )
            .with_hint(
                "make room, or set TMPDIR to a directory with more; or name a test database on another server (-pt)",
            )
            .with_state("nothing was copied"));
        }
    }
    Ok(())
}
