//! What a delta left set in its session. With pum 0.10 the deltas behind it had that, too; now it ends with the delta, and
//! a delta that counts on it is helped by knowing.

use super::Application;
use crate::connection::Connection;
use crate::error::Result;
use crate::run::Event;

/// Those that change what the statements of another delta mean or do.
const SETTINGS: &str = "'{search_path,session_replication_role,row_security,check_function_bodies,default_tablespace,\
     default_table_access_method,standard_conforming_strings,datestyle,intervalstyle,timezone,xmloption}'";

impl Application<'_> {
    /// Tells what the step that was done last left in the session, before that is taken away for the next one.
    pub(super) fn ask_what_is_left(&mut self) {
        if self.asked == self.done.len() {
            return;
        }
        self.asked = self.done.len();
        let (Some(connection), Some(done)) = (&mut self.connection, self.done.last_mut()) else {
            return;
        };
        // Where the answer fails, the upgrade is the same.
        let left = left_behind(connection).unwrap_or_default();
        if left.is_empty() {
            return;
        }
        let what = format!("{} left {} behind", done.step, left.join(", "));
        let grave = |setting: &String| GRAVE.iter().any(|name| setting.starts_with(name));
        self.run.emit(match left.iter().any(grave) {
            true => Event::Warning(format!(
                "{what}: it ends here, and the steps that follow are without it"
            )),
            false => Event::Message(format!("{what}, which the steps that follow do not have")),
        });
        done.left_behind = left;
    }
}

/// With these a later delta would do something else without an error.
const GRAVE: [&str; 3] = ["role ", "session_authorization ", "session_replication_role "];

/// Each as `name = value`.
fn left_behind(connection: &mut Connection) -> Result<Vec<String>> {
    let user = connection.parameter("user").unwrap_or_default();
    let rows = connection.query(
        &format!(
            "select pg_catalog.concat(s.name, ' = ', s.setting) from pg_catalog.pg_settings s \
             where pg_catalog.lower(s.name) operator(pg_catalog.=) any ({SETTINGS}::pg_catalog.text[]) \
             and s.source operator(pg_catalog.=) 'session'::pg_catalog.text \
             and s.setting operator(pg_catalog.<>) s.reset_val \
             and not (s.name operator(pg_catalog.=) 'standard_conforming_strings'::pg_catalog.text \
                 and s.setting operator(pg_catalog.=) 'on'::pg_catalog.text) \
             union all select pg_catalog.concat('session_authorization = ', session_user) \
             where session_user operator(pg_catalog.<>) $1::pg_catalog.text \
             union all select pg_catalog.concat('role = ', current_user) \
             where current_user operator(pg_catalog.<>) session_user order by 1"
        ),
        &[Some(&user)],
    )?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}
