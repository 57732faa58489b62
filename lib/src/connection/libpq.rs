//! libpq behind a safe surface: the only `unsafe` of the workspace.
//!
//! Rules that make it sound: a [`Pg`] owns its `PGconn` and is used by one thread at a time (`&mut self` wherever
//! libpq changes the connection); every `PGresult` is owned by one [`PgResult`] and cleared once; strings are copied
//! out or borrowed no longer than their owner. Only functions of libpq 14 are called.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex};

pub(crate) use pq_sys::{ExecStatusType, PGTransactionStatusType};
use pq_sys::{PGcancel, PGconn, PGresult};

use crate::error::ServerError;

/// One option of a connection, as `PQconninfo` and its like list them.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) keyword: String,
    /// The environment variable that gives its default, such as `PGHOST`.
    pub(crate) variable: Option<String>,
    pub(crate) value: Option<String>,
}

/// Keeps notices until they are fetched. A flood is counted, not stored.
#[derive(Default)]
pub(crate) struct Notices {
    pub(crate) kept: Vec<ServerError>,
    pub(crate) dropped: u64,
}

const NOTICES_KEPT: usize = 10_000;

/// A connection.
pub(crate) struct Pg {
    connection: NonNull<PGconn>,
    // Boxed in an Arc so that its address stays while libpq holds it.
    notices: Arc<Mutex<Notices>>,
}

// SAFETY: libpq allows a connection to move between threads as long as one at a time uses it.
unsafe impl Send for Pg {}

unsafe extern "C" fn receive_notice(argument: *mut c_void, result: *const PGresult) {
    // SAFETY: `argument` points to the Mutex inside the Arc that the same Pg owns; libpq calls this only while a
    // function on that connection runs.
    let notices = unsafe { &*argument.cast::<Mutex<Notices>>() };
    if let Ok(mut notices) = notices.lock() {
        if notices.kept.len() < NOTICES_KEPT {
            // SAFETY: libpq passes a valid result for the time of the call.
            notices.kept.push(unsafe { fields(result) });
        } else {
            notices.dropped += 1;
        }
    }
}

/// Copies a string of libpq; bytes that are not UTF-8 are replaced.
///
/// # Safety
/// `text` is null or a valid C string.
unsafe fn copied(text: *const c_char) -> Option<String> {
    if text.is_null() {
        None
    } else {
        // SAFETY: promised by the caller.
        Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }
}

/// # Safety
/// `result` is a valid result.
unsafe fn fields(result: *const PGresult) -> ServerError {
    // SAFETY: promised by the caller; a missing field is null.
    let field = |code: u8| unsafe { copied(pq_sys::PQresultErrorField(result, c_int::from(code))) };
    ServerError {
        severity: field(pq_sys::PG_DIAG_SEVERITY_NONLOCALIZED)
            .or_else(|| field(pq_sys::PG_DIAG_SEVERITY))
            .unwrap_or_default(),
        sqlstate: field(pq_sys::PG_DIAG_SQLSTATE).unwrap_or_default(),
        message: field(pq_sys::PG_DIAG_MESSAGE_PRIMARY).unwrap_or_else(|| {
            // Errors that libpq makes itself have no fields.
            // SAFETY: promised by the caller.
            unsafe { copied(pq_sys::PQresultErrorMessage(result)) }
                .unwrap_or_default()
                .trim()
                .to_owned()
        }),
        detail: field(pq_sys::PG_DIAG_MESSAGE_DETAIL),
        hint: field(pq_sys::PG_DIAG_MESSAGE_HINT),
        context: field(pq_sys::PG_DIAG_CONTEXT),
        position: field(pq_sys::PG_DIAG_STATEMENT_POSITION).and_then(|text| text.parse().ok()),
    }
}

/// # Safety
/// `options` is null or an array as libpq returns it; it is freed here.
unsafe fn parameters(options: *mut pq_sys::_PQconninfoOption) -> Vec<Parameter> {
    let mut list = Vec::new();
    if options.is_null() {
        return list;
    }
    let mut option = options;
    // SAFETY: the array ends with a null keyword (documentation of PQconndefaults).
    unsafe {
        while !(*option).keyword.is_null() {
            list.push(Parameter {
                keyword: copied((*option).keyword).unwrap_or_default(),
                variable: copied((*option).envvar),
                value: copied((*option).val),
            });
            option = option.add(1);
        }
        pq_sys::PQconninfoFree(options);
    }
    list
}

/// The keywords and values of a conninfo string or URI, only those that it names.
pub(crate) fn parse_conninfo(text: &CStr) -> Result<Vec<Parameter>, String> {
    let mut message: *mut c_char = ptr::null_mut();
    // SAFETY: `text` is a C string; `message` receives memory that is freed below.
    let options = unsafe { pq_sys::PQconninfoParse(text.as_ptr(), &raw mut message) };
    if options.is_null() {
        // SAFETY: null or a string allocated by libpq.
        let text = unsafe { copied(message) }.unwrap_or_else(|| "out of memory".to_owned());
        if !message.is_null() {
            // SAFETY: allocated by libpq, freed once.
            unsafe { pq_sys::PQfreemem(message.cast()) };
        }
        return Err(text.trim().to_owned());
    }
    // SAFETY: an array of PQconninfoParse.
    let mut list = unsafe { parameters(options) };
    list.retain(|parameter| parameter.value.is_some());
    Ok(list)
}

impl Pg {
    fn wrap(connection: *mut PGconn) -> Option<Pg> {
        let connection = NonNull::new(connection)?;
        let notices = Arc::new(Mutex::new(Notices::default()));
        // SAFETY: the connection is valid; the Arc lives in the Pg as long as the connection.
        unsafe {
            pq_sys::PQsetNoticeReceiver(
                connection.as_ptr(),
                Some(receive_notice),
                Arc::as_ptr(&notices).cast_mut().cast(),
            );
        }
        Some(Pg { connection, notices })
    }

    /// Connects and waits for the outcome, good or bad; `None` is out of memory. `limited` says that a `connect_timeout` is set.
    ///
    /// Not by `PQconnectdb`: it writes what the server says to a new session to the standard error, and nobody can hinder it.
    pub(crate) fn connect(conninfo: &CStr, limited: bool) -> Option<Pg> {
        let mut pg = Pg::begin(conninfo)?;
        if !limited {
            pg.complete();
        } else if !pg.is_bad() {
            // The next address after a timeout is for libpq itself to take: it begins anew, with our receiver.
            // SAFETY: valid connection.
            unsafe { pq_sys::PQreset(pg.connection.as_ptr()) };
        }
        Some(pg)
    }

    /// Waits for what was begun, as `PQconnectdb` does where nothing limits it.
    fn complete(&mut self) {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut wanted = PollFlags::OUT;
        while !self.is_bad() {
            let Some(socket) = self.socket() else { return };
            match poll(&mut [PollFd::from_borrowed_fd(socket, wanted)], None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            // SAFETY: valid connection.
            wanted = match unsafe { pq_sys::PQconnectPoll(self.connection.as_ptr()) } {
                pq_sys::PostgresPollingStatusType::PGRES_POLLING_READING => PollFlags::IN,
                pq_sys::PostgresPollingStatusType::PGRES_POLLING_WRITING => PollFlags::OUT,
                _ => return,
            };
        }
    }

    /// Begins to connect and does not wait.
    pub(crate) fn begin(conninfo: &CStr) -> Option<Pg> {
        // SAFETY: a C string that outlives the call.
        Pg::wrap(unsafe { pq_sys::PQconnectStart(conninfo.as_ptr()) })
    }

    pub(crate) fn is_ok(&self) -> bool {
        // SAFETY: valid connection, here and below.
        unsafe { pq_sys::PQstatus(self.connection.as_ptr()) == pq_sys::ConnStatusType::CONNECTION_OK }
    }

    fn is_bad(&self) -> bool {
        unsafe { pq_sys::PQstatus(self.connection.as_ptr()) == pq_sys::ConnStatusType::CONNECTION_BAD }
    }

    pub(crate) fn needs_password(&self) -> bool {
        unsafe { pq_sys::PQconnectionNeedsPassword(self.connection.as_ptr()) == 1 }
    }

    /// The password that was used, wherever it came from: a file for passwords too.
    pub(crate) fn password(&self) -> Option<String> {
        // SAFETY: null or a string of the connection, which is copied.
        unsafe { copied(pq_sys::PQpass(self.connection.as_ptr())) }.filter(|password| !password.is_empty())
    }

    pub(crate) fn error_message(&self) -> String {
        unsafe { copied(pq_sys::PQerrorMessage(self.connection.as_ptr())) }
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        unsafe { parameters(pq_sys::PQconninfo(self.connection.as_ptr())) }
    }

    pub(crate) fn server_version(&self) -> i32 {
        unsafe { pq_sys::PQserverVersion(self.connection.as_ptr()) }
    }

    pub(crate) fn parameter_status(&self, name: &CStr) -> Option<String> {
        unsafe { copied(pq_sys::PQparameterStatus(self.connection.as_ptr(), name.as_ptr())) }
    }

    pub(crate) fn backend_pid(&self) -> i32 {
        unsafe { pq_sys::PQbackendPID(self.connection.as_ptr()) }
    }

    pub(crate) fn transaction_status(&self) -> PGTransactionStatusType {
        unsafe { pq_sys::PQtransactionStatus(self.connection.as_ptr()) }
    }

    /// The socket, while there is one.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        let descriptor = unsafe { pq_sys::PQsocket(self.connection.as_ptr()) };
        // SAFETY: libpq owns the descriptor and keeps it open while the borrow of self lasts.
        (descriptor >= 0).then(|| unsafe { BorrowedFd::borrow_raw(descriptor) })
    }

    pub(crate) fn set_nonblocking(&mut self) -> bool {
        unsafe { pq_sys::PQsetnonblocking(self.connection.as_ptr(), 1) == 0 }
    }

    pub(crate) fn send(&mut self, sql: &CStr) -> bool {
        unsafe { pq_sys::PQsendQuery(self.connection.as_ptr(), sql.as_ptr()) == 1 }
    }

    pub(crate) fn send_with(&mut self, sql: &CStr, values: &[Option<CString>]) -> bool {
        let pointers: Vec<*const c_char> = values
            .iter()
            .map(|value| value.as_ref().map_or(ptr::null(), |value| value.as_ptr()))
            .collect();
        let Ok(count) = c_int::try_from(pointers.len()) else {
            return false;
        };
        // SAFETY: as many values as said; types null means the server infers; all in text.
        unsafe {
            pq_sys::PQsendQueryParams(
                self.connection.as_ptr(),
                sql.as_ptr(),
                count,
                ptr::null(),
                pointers.as_ptr(),
                ptr::null(),
                ptr::null(),
                0,
            ) == 1
        }
    }

    /// Rows come one by one from here on, so that a huge result is never held.
    pub(crate) fn row_by_row(&mut self) -> bool {
        unsafe { pq_sys::PQsetSingleRowMode(self.connection.as_ptr()) == 1 }
    }

    /// From here on statements are sent without waiting for results (PostgreSQL documentation, "Pipeline Mode").
    pub(crate) fn enter_pipeline(&mut self) -> bool {
        unsafe { pq_sys::PQenterPipelineMode(self.connection.as_ptr()) == 1 }
    }

    /// Possible once every result was fetched.
    pub(crate) fn exit_pipeline(&mut self) -> bool {
        unsafe { pq_sys::PQexitPipelineMode(self.connection.as_ptr()) == 1 }
    }

    /// An error makes the server pass over what follows up to here.
    pub(crate) fn pipeline_sync(&mut self) -> bool {
        unsafe { pq_sys::PQpipelineSync(self.connection.as_ptr()) == 1 }
    }

    /// `Some(true)`: all is sent; `Some(false)`: more to send; `None`: an error.
    pub(crate) fn flush(&mut self) -> Option<bool> {
        match unsafe { pq_sys::PQflush(self.connection.as_ptr()) } {
            0 => Some(true),
            1 => Some(false),
            _ => None,
        }
    }

    pub(crate) fn consume_input(&mut self) -> bool {
        unsafe { pq_sys::PQconsumeInput(self.connection.as_ptr()) == 1 }
    }

    pub(crate) fn is_busy(&mut self) -> bool {
        unsafe { pq_sys::PQisBusy(self.connection.as_ptr()) == 1 }
    }

    pub(crate) fn result(&mut self) -> Option<PgResult> {
        NonNull::new(unsafe { pq_sys::PQgetResult(self.connection.as_ptr()) }).map(PgResult)
    }

    /// `Some(true)`: queued; `Some(false)`: wait until it can be written; `None`: an error.
    pub(crate) fn put_copy_data(&mut self, bytes: &[u8]) -> Option<bool> {
        let length = c_int::try_from(bytes.len()).ok()?;
        // SAFETY: `bytes` has `length` bytes.
        match unsafe { pq_sys::PQputCopyData(self.connection.as_ptr(), bytes.as_ptr().cast(), length) } {
            1 => Some(true),
            0 => Some(false),
            _ => None,
        }
    }

    /// Ends a COPY, with a message to make the server refuse it. Results as [`Pg::put_copy_data`].
    pub(crate) fn put_copy_end(&mut self, failure: Option<&CStr>) -> Option<bool> {
        let message = failure.map_or(ptr::null(), CStr::as_ptr);
        match unsafe { pq_sys::PQputCopyEnd(self.connection.as_ptr(), message) } {
            1 => Some(true),
            0 => Some(false),
            _ => None,
        }
    }

    /// Hands over the next row of COPY OUT data: `Some(true)`: one came; `Some(false)`: wait for it; `None`: that was
    /// all, or an error.
    pub(crate) fn copy_data(&mut self, take: impl FnOnce(&[u8])) -> Option<bool> {
        let mut buffer: *mut c_char = ptr::null_mut();
        // SAFETY: libpq allocates the buffer, freed below.
        let length = unsafe { pq_sys::PQgetCopyData(self.connection.as_ptr(), &raw mut buffer, 1) };
        if !buffer.is_null() {
            if let Ok(length) = usize::try_from(length) {
                // SAFETY: the buffer has as many bytes as libpq says, and nobody else knows it.
                take(unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) });
            }
            // SAFETY: allocated by libpq, freed once.
            unsafe { pq_sys::PQfreemem(buffer.cast()) };
        }
        (length >= 0).then_some(length > 0)
    }

    /// What asks the server to cancel what runs; `None` where there is no connection any more.
    pub(crate) fn canceller(&self) -> Option<Canceller> {
        // SAFETY: valid connection; the object is the caller's.
        NonNull::new(unsafe { pq_sys::PQgetCancel(self.connection.as_ptr()) }).map(Canceller)
    }

    pub(crate) fn take_notices(&self) -> Notices {
        self.notices
            .lock()
            .map(|mut notices| std::mem::take(&mut *notices))
            .unwrap_or_default()
    }
}

impl Drop for Pg {
    fn drop(&mut self) {
        // SAFETY: owned, finished once.
        unsafe { pq_sys::PQfinish(self.connection.as_ptr()) }
    }
}

/// A request to cancel, independent of its connection.
pub(crate) struct Canceller(NonNull<PGcancel>);

// SAFETY: libpq allows to cancel from any thread.
unsafe impl Send for Canceller {}

impl Canceller {
    /// Asks the server, over a connection of its own, and waits until it has been told. A failure leaves it running.
    pub(crate) fn ask(&self) {
        let mut buffer: [c_char; 256] = [0; 256];
        // SAFETY: valid object; the buffer has the size that is said.
        unsafe { pq_sys::PQcancel(self.0.as_ptr(), buffer.as_mut_ptr(), 256) };
    }
}

impl Drop for Canceller {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { pq_sys::PQfreeCancel(self.0.as_ptr()) }
    }
}

/// One result, owned.
pub(crate) struct PgResult(NonNull<PGresult>);

// SAFETY: a result is immutable after libpq returned it, and not tied to the connection.
unsafe impl Send for PgResult {}
// SAFETY: reading it from several threads reads the same bytes.
unsafe impl Sync for PgResult {}

impl PgResult {
    pub(crate) fn status(&self) -> ExecStatusType {
        unsafe { pq_sys::PQresultStatus(self.0.as_ptr()) }
    }

    pub(crate) fn error(&self) -> ServerError {
        unsafe { fields(self.0.as_ptr()) }
    }

    /// The command tag, such as `INSERT 0 5`.
    pub(crate) fn tag(&self) -> String {
        unsafe { copied(pq_sys::PQcmdStatus(self.0.as_ptr())) }.unwrap_or_default()
    }

    /// Rows affected, from the tag.
    pub(crate) fn affected(&self) -> u64 {
        unsafe { copied(pq_sys::PQcmdTuples(self.0.as_ptr())) }
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn rows(&self) -> usize {
        usize::try_from(unsafe { pq_sys::PQntuples(self.0.as_ptr()) }).unwrap_or(0)
    }

    pub(crate) fn columns(&self) -> usize {
        usize::try_from(unsafe { pq_sys::PQnfields(self.0.as_ptr()) }).unwrap_or(0)
    }

    pub(crate) fn column_name(&self, column: usize) -> &str {
        let Ok(column) = c_int::try_from(column) else {
            return "";
        };
        // SAFETY: libpq returns null for a column that is not there; the name lives as long as the result.
        unsafe {
            let name = pq_sys::PQfname(self.0.as_ptr(), column);
            if name.is_null() {
                ""
            } else {
                CStr::from_ptr(name).to_str().unwrap_or("")
            }
        }
    }

    /// A value as text, `None` for null. The connection speaks UTF-8, which the server guarantees.
    pub(crate) fn value(&self, row: usize, column: usize) -> Option<&str> {
        if row >= self.rows() || column >= self.columns() {
            return None;
        }
        let (row, column) = (c_int::try_from(row).ok()?, c_int::try_from(column).ok()?);
        // SAFETY: row and column exist; the value lives as long as the result and has the length that is said.
        unsafe {
            if pq_sys::PQgetisnull(self.0.as_ptr(), row, column) == 1 {
                return None;
            }
            let length = usize::try_from(pq_sys::PQgetlength(self.0.as_ptr(), row, column)).ok()?;
            let bytes =
                std::slice::from_raw_parts(pq_sys::PQgetvalue(self.0.as_ptr(), row, column).cast::<u8>(), length);
            // The server refuses to send anything else, from a database in SQL_ASCII too.
            std::str::from_utf8(bytes).ok().or(Some(""))
        }
    }
}

impl Drop for PgResult {
    fn drop(&mut self) {
        // SAFETY: owned, cleared once.
        unsafe { pq_sys::PQclear(self.0.as_ptr()) }
    }
}
