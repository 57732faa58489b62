//! The data of COPY ... FROM stdin, sent no faster than the server takes them.

use std::ffi::CStr;

use super::{Connection, CopySource};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of a COPY that are given to libpq before they must have been sent. A line at a time would be slow.
const COPY_AHEAD: usize = 256 * 1024;

impl Connection {
    pub(super) fn feed(&mut self, copy: Option<CopySource<'_>>) -> Result<()> {
        let Some(copy) = copy else {
            self.end_copy(Some(c"the script holds no data for COPY"))?;
            return Ok(());
        };
        let cancellable = !self.cancel_seen;
        let mut held = 0;
        loop {
            if cancellable && self.run.cancel().is_cancelled() {
                self.end_copy(Some(c"cancelled"))?;
                return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
            }
            match copy() {
                Ok(Some(bytes)) => {
                    loop {
                        match self.pg.put_copy_data(&bytes) {
                            Some(true) => break,
                            Some(false) => self.wait(true)?,
                            None => {
                                // The server may have refused the data already: its error follows as a result.
                                return if self.pg.is_ok() { Ok(()) } else { Err(self.lost()) };
                            }
                        }
                    }
                    // libpq would hold all of a file that is read faster than the server takes it.
                    held += bytes.len();
                    if held >= COPY_AHEAD {
                        held = 0;
                        self.flush()?;
                        self.deliver_notices();
                    }
                }
                Ok(None) => return self.end_copy(None),
                Err(error) => {
                    self.end_copy(Some(c"the data of the script could not be read"))?;
                    return Err(error);
                }
            }
        }
    }

    pub(super) fn end_copy(&mut self, failure: Option<&CStr>) -> Result<()> {
        loop {
            match self.pg.put_copy_end(failure) {
                Some(true) => return Ok(()),
                Some(false) => self.wait(true)?,
                None => return Err(self.lost()),
            }
        }
    }
}
