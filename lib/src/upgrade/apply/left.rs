//! What a delta left set in its session. With pum 0.10 the deltas behind it had that, too; now it ends with the delta, and
//! a delta that counts on it is helped by knowing.

use super::Application;
use crate::connection::Connection;
use crate::error::Result;
use crate::run::{Event, Run};

/// Those that change what the statements of another delta mean or do.
const SETTINGS: [&str; 11] = [
    "check_function_bodies",
    "datestyle",
    "default_table_access_method",
    "default_tablespace",
    "intervalstyle",
    "row_security",
    "search_path",
    "session_replication_role",
    "standard_conforming_strings",
    "timezone",
    "xmloption",
];

/// With these a later delta would do something else without an error.
const GRAVE: [&str; 3] = ["role ", "session_authorization ", "session_replication_role "];

/// Who a session is, and what is set in it.
pub(super) struct Standing {
    user: String,
    role: String,
    settings: Vec<String>,
}

impl Standing {
    /// # Errors
    /// What the server says.
    pub(super) fn read(connection: &mut Connection) -> Result<Standing> {
        let settings: String = SETTINGS
            .iter()
            .map(|name| format!(", pg_catalog.current_setting('{name}')"))
            .collect();
        let rows = connection.query(&format!("select session_user, current_user{settings}"), &[])?;
        let value = |column: usize| rows.value(0, column).unwrap_or_default().to_owned();
        Ok(Standing {
            user: value(0),
            role: value(1),
            settings: (0..SETTINGS.len()).map(|number| value(number + 2)).collect(),
        })
    }

    /// What is otherwise now, each as `name = value`.
    fn otherwise(&self, now: &Standing) -> Vec<String> {
        let mut left = Vec::new();
        // Who is another user has his own role at first.
        let role = if now.user == self.user { &self.role } else { &now.user };
        if now.role != *role {
            left.push(format!("role = {}", now.role));
        }
        if now.user != self.user {
            left.push(format!("session_authorization = {}", now.user));
        }
        let settings = SETTINGS.iter().zip(self.settings.iter().zip(&now.settings));
        left.extend(
            settings
                .filter(|(_, (before, after))| before != after)
                .map(|(name, (_, after))| format!("{name} = {after}")),
        );
        left
    }
}

impl Application<'_> {
    /// What the step that was done last left in the session, before that is taken away for the next one.
    pub(super) fn left_behind(&mut self) -> Vec<String> {
        let (Some(connection), Some(standing)) = (&mut self.connection, &self.standing) else {
            return Vec::new();
        };
        // Where the answer fails, the upgrade is the same.
        Standing::read(connection).map_or_else(|_| Vec::new(), |now| standing.otherwise(&now))
    }
}

/// Tells what a step left behind, where it left anything.
pub(super) fn tell(step: &str, left: &[String], run: &Run) {
    if left.is_empty() {
        return;
    }
    let what = format!("{step} left {} behind", left.join(", "));
    let grave = |setting: &String| GRAVE.iter().any(|name| setting.starts_with(name));
    run.emit(if left.iter().any(grave) {
        Event::Warning(format!(
            "{what}: it ends here, and the steps that follow are without it"
        ))
    } else {
        Event::Message(format!("{what}, which the steps that follow do not have"))
    });
}
