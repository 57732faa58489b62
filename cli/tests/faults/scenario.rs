//! The upgrades that are disturbed: between them every kind of step.

use std::path::Path;

/// A file of a delta directory. Its statements are apart, so that its halves can be written too.
pub struct Delta {
    pub file: &'static str,
    pub head: &'static str,
    pub statements: &'static [&'static str],
}

pub struct Scenario {
    pub name: &'static str,
    /// In the order in which they run.
    pub deltas: &'static [Delta],
    pub arguments: &'static [&'static str],
}

/// What every database holds at first.
pub const SEED: &str = "create table public.account (id int primary key, balance int not null);
    insert into public.account select n, 0 from generate_series(1, 300) n;
    create table public.ledger (delta text, note text);
    create type public.mood as enum ('dry');
    create index account_old on public.account (balance, id)";

const fn sql(file: &'static str, statements: &'static [&'static str]) -> Delta {
    Delta {
        file,
        head: "",
        statements,
    }
}

const fn outside(file: &'static str, statements: &'static [&'static str]) -> Delta {
    Delta {
        file,
        head: "-- pum: no-transaction\n",
        statements,
    }
}

const fn python(file: &'static str, statements: &'static [&'static str]) -> Delta {
    Delta {
        file,
        head: PYTHON,
        statements,
    }
}

const PYTHON: &str = r#"import subprocess
from pum.core.deltapy import DeltaPy
class Delta(DeltaPy):
    def run(self):
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "service=" + self.pg_service]
"#;

/// Not one of these statements may be done twice: each leaves another trace then.
const MORE: &str = "update public.account set balance = balance + 50";

const COPY: &str =
    "copy public.ledger from stdin;\n1.1.0\tfrom a stream\n1.1.0\twith\\ttabs\n1.1.0\tand a third\n\\.\n";

/// Each delta in a transaction of its own: pre, post and pre-all, a COPY stream, notices, a new value of an enum.
pub const ONE_BY_ONE: Scenario = Scenario {
    name: "one by one",
    deltas: &[
        sql(
            "pre-all.sql",
            &["create or replace view public.first as select 1 as one"],
        ),
        sql(
            "delta_1.1.0_open.pre.sql",
            &["insert into public.ledger values ('1.1.0 pre', 'a')"],
        ),
        sql(
            "delta_1.1.0_open.sql",
            &["alter table public.account add note text", MORE, COPY, MORE],
        ),
        sql(
            "delta_1.1.0_open.post.sql",
            &["insert into public.ledger values ('1.1.0 post', 'b')"],
        ),
        sql(
            "delta_1.2.0_mood.sql",
            &[
                "alter type public.mood add value 'wet'",
                "do $$ begin raise notice 'a word'; raise warning 'another'; end $$",
                MORE,
            ],
        ),
        sql(
            "delta_1.3.0_use.sql",
            &[
                "create table public.weather (day int primary key, mood public.mood)",
                "insert into public.weather values (1, 'wet')",
                MORE,
            ],
        ),
        sql(
            "post-all.sql",
            &["create or replace view public.last as select 2 as two"],
        ),
    ],
    arguments: &[],
};

/// All of it in one transaction.
const TOGETHER: Scenario = Scenario {
    name: "single transaction",
    deltas: &[
        sql(
            "pre-all.sql",
            &["create or replace view public.first as select 1 as one"],
        ),
        sql(
            "delta_1.1.0_open.sql",
            &["alter table public.account add note text", MORE, COPY, MORE],
        ),
        sql(
            "delta_1.2.0_mood.sql",
            &[
                "alter type public.mood add value 'wet'",
                "set search_path = pg_temp",
                MORE,
            ],
        ),
        sql(
            "delta_1.3.0_more.sql",
            &[MORE, "insert into ledger values ('1.3.0', 'c')"],
        ),
        sql("delta_1.3.0_more.post.sql", &[MORE]),
    ],
    arguments: &["--single-transaction"],
};

/// What cannot be in a transaction.
const OUTSIDE: Scenario = Scenario {
    name: "no transaction",
    deltas: &[
        sql("delta_1.1.0_before.sql", &[MORE]),
        outside(
            "delta_1.2.0_index.sql",
            &[
                MORE,
                "create index concurrently account_new on public.account (balance)",
                "set work_mem = '5MB'",
                MORE,
                "drop index concurrently public.account_old",
                "begin;\nupdate public.account set balance = balance + 7;\ninsert into public.ledger values ('1.2.0', 'd');\ncommit",
                "vacuum public.account",
                "alter type public.mood add value 'wet'",
                "insert into public.ledger values ('1.2.0', 'e')",
            ],
        ),
        sql("delta_1.3.0_after.sql", &[MORE]),
    ],
    arguments: &[],
};

/// A Python delta between others. Run again, it finds what it did.
const WITH_PYTHON: Scenario = Scenario {
    name: "python",
    deltas: &[
        sql(
            "delta_1.1.0_before.sql",
            &[MORE, "create table public.seen (id int primary key)"],
        ),
        python(
            "delta_1.2.0_seen.py",
            &[
                "        subprocess.run(command + [\"-c\", \"insert into public.seen values (1), (2) on conflict do nothing\"], check=True)\n",
            ],
        ),
        sql("delta_1.3.0_after.sql", &[MORE]),
    ],
    arguments: &[],
};

/// Statements that take their time, and a COMMIT that does: a trigger works in it.
pub const LONG: Scenario = Scenario {
    name: "long",
    deltas: &[
        sql(
            "delta_1.1.0_trigger.sql",
            &[
                "create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.2); return null; end $$",
                "create constraint trigger slow after insert on public.ledger deferrable initially deferred for each row execute function public.slow()",
            ],
        ),
        sql(
            "delta_1.2.0_slow.sql",
            &[
                MORE,
                "select pg_sleep(0.1)",
                "insert into public.ledger values ('1.2.0', 'f')",
                MORE,
            ],
        ),
        outside(
            "delta_1.3.0_slow.sql",
            &[
                "select pg_sleep(0.1)",
                MORE,
                "insert into public.ledger values ('1.3.0', 'g')",
            ],
        ),
        sql(
            "delta_1.4.0_slow.sql",
            &["insert into public.ledger values ('1.4.0', 'h')", MORE],
        ),
    ],
    arguments: &[],
};

/// Many statements.
const MANY: Scenario = Scenario {
    name: "many statements",
    deltas: &[
        sql(
            "delta_1.1.0_many.sql",
            &[
                MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE,
                MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE,
            ],
        ),
        outside(
            "delta_1.2.0_many.sql",
            &[
                MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE,
            ],
        ),
    ],
    arguments: &[],
};

pub const SCENARIOS: &[Scenario] = &[ONE_BY_ONE, TOGETHER, OUTSIDE, WITH_PYTHON, LONG, MANY];

impl Delta {
    fn is_outside(&self) -> bool {
        self.head.starts_with("-- pum: no-transaction")
    }

    pub fn is_python(&self) -> bool {
        self.file.ends_with(".py")
    }

    /// Writes it with its first statements only.
    fn write(&self, directory: &Path, statements: usize) {
        let mut text = self.head.to_owned();
        for statement in &self.statements[..statements] {
            text.push_str(statement);
            if !statement.ends_with('\n') {
                text.push_str(";\n");
            }
        }
        std::fs::write(directory.join(self.file), text).unwrap();
    }

    /// How many statements pum counts in the first of them.
    pub fn counted(&self, statements: usize) -> usize {
        let inner = |text: &&str| text.matches(";\n").count() * usize::from(text.starts_with("begin;"));
        statements + self.statements[..statements].iter().map(inner).sum::<usize>()
    }

    /// Whether the statement with this number, from 0, may be done before it is recorded.
    pub fn may_be_ahead(&self, statement: usize) -> bool {
        let outside = ["create index concurrently", "drop index concurrently", "vacuum"];
        self.statements
            .get(statement)
            .is_some_and(|text| outside.iter().any(|start| text.starts_with(start)))
    }
}

/// How far an upgrade has come: whole deltas, and statements of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    pub deltas: usize,
    pub statements: usize,
}

impl Scenario {
    /// Every stage at which an upgrade may lawfully stand still.
    pub fn stages(&self) -> Vec<Stage> {
        let mut stages = Vec::new();
        for (number, delta) in self.deltas.iter().enumerate() {
            // All its statements may be done before the delta is.
            let last = if delta.is_outside() { delta.statements.len() } else { 0 };
            stages.extend((0..=last).map(|statements| Stage {
                deltas: number,
                statements,
            }));
        }
        stages.push(Stage {
            deltas: self.deltas.len(),
            statements: 0,
        });
        stages
    }

    /// Writes the files that lead to a stage.
    pub fn write(&self, directory: &Path, stage: Stage) {
        for delta in &self.deltas[..stage.deltas] {
            delta.write(directory, delta.statements.len());
        }
        if stage.statements > 0 {
            self.deltas[stage.deltas].write(directory, stage.statements);
        }
    }

    pub fn write_all(&self, directory: &Path) {
        let deltas = self.deltas.len();
        self.write(directory, Stage { deltas, statements: 0 });
    }

    pub fn has_python(&self) -> bool {
        self.deltas.iter().any(Delta::is_python)
    }
}
