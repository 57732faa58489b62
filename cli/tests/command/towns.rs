//! Many databases for the tests of a fleet.

use pum::{BaselineOptions, Run};

use crate::{Ended, Place, support, value};

/// Databases of the server of these tests, all at 1.0.0, with two deltas due. The first sleeps where a table `slow` is.
pub(crate) struct Towns {
    pub(crate) place: Place,
    /// Names the server.
    pub(crate) server: String,
    pub(crate) names: Vec<String>,
}

impl Towns {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Towns {
        let place = Place::new();
        place.write("pum.yaml", "upgrades_table: water_sys.info\ndelta_dir: deltas\n");
        place.write(
            "deltas/delta_1.1.0_pipe.sql",
            "create schema water;\ncreate table water.pipe (id int primary key);\ndo $$ begin\n\
             if to_regclass('public.slow') is not null then perform pg_sleep(20); end if;\nend $$;\n",
        );
        place.write(
            "deltas/delta_1.2.0_size.sql",
            "alter table water.pipe add column size int;\n",
        );
        let first = support::database("town");
        let options = BaselineOptions::new("water_sys.info".parse().unwrap(), "1.0.0".parse().unwrap());
        pum::baseline(&first, &options, &Run::new()).unwrap();
        let template = value(&first, "dbname");
        let names: Vec<String> = names.into_iter().collect();
        for name in &names {
            support::server().create_database_from(name, &template).unwrap();
        }
        let server = format!(
            "host={} port={} user={} dbname=postgres",
            value(&first, "host"),
            value(&first, "port"),
            value(&first, "user")
        );
        Towns { place, server, names }
    }

    pub(crate) fn numbered(prefix: &str, count: usize) -> Towns {
        Towns::new((0..count).map(|number| format!("{prefix}_{number:03}")))
    }

    /// Runs a command on the databases that a pattern names.
    pub(crate) fn run(&self, command: &str, pattern: &str, more: &str) -> Ended {
        self.place.run(&self.line(command, pattern, more))
    }

    pub(crate) fn line(&self, command: &str, pattern: &str, more: &str) -> String {
        format!("{command} -p '{}' --databases '{pattern}' {more}", self.server)
    }

    /// Defines services with the names of the databases.
    pub(crate) fn services(&self) {
        let text: String = self
            .names
            .iter()
            .map(|name| {
                format!(
                    "[{name}]\n{}\n",
                    self.server
                        .replace(' ', "\n")
                        .replace("dbname=postgres", &format!("dbname={name}"))
                )
            })
            .collect();
        self.place.write("pg_service.conf", &text);
    }
}
