//! The rules, in one table: what each says, who is blocked, and what to do instead.

use squawk_linter::Rule as Squawk;

use super::Effect::{self, BlocksReaders, BlocksWriters, LosesData, Rewrites, Scans};

/// A rule about locks, rewrites, scans or lost data.
#[derive(Debug)]
pub struct HazardRule {
    /// The name, as `-- pum: allow` takes it. Where squawk has the rule, it is squawk's name.
    pub name: &'static str,
    /// Who is blocked and what happens to the data; none where the rule is about what was not read.
    pub effects: &'static [Effect],
    /// A sentence without full stop, with `{}` for the relation and `{part}` for a column or the like.
    pub(super) says: &'static str,
    /// What to do instead, when there is something.
    pub instead: Option<&'static str>,
    /// The rule of squawk that finds it; none for a rule of pum.
    pub(super) squawk: Option<Squawk>,
}

impl HazardRule {
    /// What the rule says, one sentence without full stop, of a relation and a column with these names.
    pub fn sentence(&self, relation: &str, column: &str) -> String {
        // In one pass: a name may hold the other placeholder.
        let mut pieces = self.says.split("{}").map(|piece| piece.replace("{part}", column));
        let first = pieces.next().unwrap_or_default();
        pieces.fold(first, |said, piece| said + relation + &piece)
    }
}

/// By its name.
pub(super) fn rule(name: &str) -> Option<&'static HazardRule> {
    HAZARD_RULES.iter().copied().find(|rule| rule.name == name)
}

/// That of a rule of squawk.
pub(super) fn of_squawk(squawk: Squawk) -> Option<&'static HazardRule> {
    HAZARD_RULES.iter().copied().find(|rule| rule.squawk == Some(squawk))
}

const EVERYBODY: &[Effect] = &[BlocksReaders, BlocksWriters];
const EVERYBODY_SCANS: &[Effect] = &[BlocksReaders, BlocksWriters, Scans];
const EVERYBODY_REWRITES: &[Effect] = &[BlocksReaders, BlocksWriters, Rewrites];

macro_rules! rules {
    ($($id:ident = $name:literal, $squawk:expr, $effects:expr, $says:literal, $instead:expr;)*) => {
        $(pub(super) const $id: &HazardRule = &HazardRule {
            name: $name,
            effects: $effects,
            says: $says,
            instead: $instead,
            squawk: $squawk,
        };)*
        /// Every rule, in the order of the README.
        pub const HAZARD_RULES: &[&HazardRule] = &[$($id),*];
    };
}

rules! {
    CREATING_INDEX = "require-concurrent-index-creation", Some(Squawk::RequireConcurrentIndexCreation),
        &[BlocksWriters, Scans],
        "nobody writes to {} while all its rows are read and the index is built, until the transaction ends",
        Some("CREATE INDEX CONCURRENTLY, in a delta with the header `-- pum: no-transaction`");
    DROPPING_INDEX = "require-concurrent-index-deletion", Some(Squawk::RequireConcurrentIndexDeletion),
        EVERYBODY,
        "nobody reads or writes the table of the index {} until the transaction ends",
        Some("DROP INDEX CONCURRENTLY, in a delta with the header `-- pum: no-transaction`");
    REINDEXING = "require-concurrent-reindex", Some(Squawk::RequireConcurrentReindex),
        EVERYBODY_REWRITES,
        "nobody writes to the table while REINDEX of {} goes on, and who reads it waits too",
        Some("REINDEX ... CONCURRENTLY, in a delta with the header `-- pum: no-transaction`");
    ADDING_PRIMARY_KEY = "adding-serial-primary-key-field", Some(Squawk::AddingSerialPrimaryKeyField),
        EVERYBODY_SCANS,
        "nobody reads or writes {} while all its rows are read and the index of the primary key is built",
        Some("CREATE UNIQUE INDEX CONCURRENTLY first, then ADD PRIMARY KEY USING INDEX");
    ADDING_UNIQUE = "disallowed-unique-constraint", Some(Squawk::DisallowedUniqueConstraint),
        EVERYBODY_SCANS,
        "nobody reads or writes {} while all its rows are read and the index of the constraint is built",
        Some("CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT ... UNIQUE USING INDEX");
    ADDING_EXCLUSION = "adding-exclusion-constraint", None,
        EVERYBODY_SCANS,
        "nobody reads or writes {} while all its rows are read and the index of the constraint is built",
        None;
    ADDING_FOREIGN_KEY = "adding-foreign-key-constraint", Some(Squawk::AddingForeignKeyConstraint),
        &[BlocksWriters, Scans],
        "nobody writes to {} or to the table that it refers to while every row of {} is looked up there",
        Some("ADD CONSTRAINT ... NOT VALID, and VALIDATE CONSTRAINT in a later delta");
    ADDING_CHECK = "constraint-missing-not-valid", Some(Squawk::ConstraintMissingNotValid),
        EVERYBODY_SCANS,
        "nobody reads or writes {} while every row is checked",
        Some("ADD CONSTRAINT ... NOT VALID, and VALIDATE CONSTRAINT in a later delta");
    VALIDATING = "validating-in-same-transaction", None,
        EVERYBODY_SCANS,
        "every row of {} is checked while the transaction still holds the lock of ADD CONSTRAINT",
        Some("VALIDATE CONSTRAINT in a later delta: its own lock blocks nobody");
    ADDING_DOMAIN_CHECK = "ban-alter-domain-with-add-constraint", Some(Squawk::BanAlterDomainWithAddConstraint),
        &[BlocksWriters, Scans],
        "nobody writes to the tables with columns of the domain {} while all their rows are read",
        Some("ADD CONSTRAINT ... NOT VALID, and VALIDATE CONSTRAINT in a later delta");
    SETTING_NOT_NULL = "adding-not-nullable-field", Some(Squawk::AddingNotNullableField),
        EVERYBODY_SCANS,
        "nobody reads or writes {} while every row is read in search of a null in {part}",
        Some("ADD CONSTRAINT ... CHECK (column IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT in a later delta, and then \
              SET NOT NULL, which reads no rows any more");
    ADDING_COLUMN_WITH_CHECK = "adding-field-with-constraint", None,
        EVERYBODY_SCANS,
        "nobody reads or writes {} while the constraint of the new column {part} is checked for every row",
        Some("add the column alone, then the constraint NOT VALID, and VALIDATE CONSTRAINT in a later delta");
    ADDING_COLUMN_WITH_DEFAULT = "adding-field-with-default", Some(Squawk::AddingFieldWithDefault),
        EVERYBODY_REWRITES,
        "nobody reads or writes {} while every row is written anew for the new column {part}",
        Some("add the column without it, SET DEFAULT, and fill the rows that are there in batches");
    ADDING_SERIAL = "adding-serial-field", None,
        EVERYBODY_REWRITES,
        "nobody reads or writes {} while every row is written anew for the new column {part}",
        Some("add an integer column, SET DEFAULT nextval(...), and fill the rows that are there in batches");
    CHANGING_TYPE = "changing-column-type", Some(Squawk::ChangingColumnType),
        EVERYBODY_REWRITES,
        "nobody reads or writes {} while every row and the indexes are written anew, unless what {part} holds can stay \
         as it is, as when a varchar gets longer or becomes text",
        Some("add a column of the new type, fill it in batches, and let the two change names");
    REWRITING = "rewriting-table", None,
        EVERYBODY_REWRITES,
        "nobody reads or writes {} while the whole of it is written anew",
        None;
    VACUUM_FULL = "vacuum-full", None,
        EVERYBODY_REWRITES,
        "nobody reads or writes {} while the whole of it is written anew",
        Some("VACUUM without FULL, or the extension pg_repack");
    CLUSTER = "cluster", None,
        EVERYBODY_REWRITES,
        "nobody reads or writes {} while the whole of it is written anew",
        Some("the extension pg_repack");
    REFRESHING = "refresh-without-concurrently", None,
        &[BlocksReaders, Rewrites],
        "nobody reads {} while it is filled anew, until the transaction ends",
        Some("REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view");
    LOCKING = "locking-table", None,
        EVERYBODY,
        "{} is locked until the transaction ends",
        Some("leave it out: each statement takes the lock that it needs");
    CREATING_PARTITION = "creating-partition", None,
        EVERYBODY,
        "nobody reads or writes {} until the transaction ends, because a partition of it is made",
        Some("CREATE TABLE ... (LIKE parent), then ALTER TABLE ... ATTACH PARTITION, which blocks nobody on the parent");
    ATTACHING_PARTITION = "attaching-partition", None,
        EVERYBODY_SCANS,
        "nobody reads or writes {} while every row is checked to belong into the partition, unless a valid CHECK \
         constraint says so already",
        Some("a CHECK constraint of the same bounds first, NOT VALID and validated in a later delta");
    DETACHING_PARTITION = "require-concurrent-partition-detach", Some(Squawk::RequireConcurrentPartitionDetach),
        EVERYBODY,
        "nobody reads or writes {} until the transaction ends",
        Some("DETACH PARTITION ... CONCURRENTLY, in a delta with the header `-- pum: no-transaction`");
    DELETING_ALL = "delete-without-where", None,
        &[BlocksWriters, LosesData],
        "every row of {} is deleted, and who wants to change one waits until the transaction ends",
        Some("a WHERE that names the rows; in batches when they are many");
    UPDATING_ALL = "update-without-where", None,
        &[BlocksWriters, LosesData],
        "what {part} of {} held is overwritten in every row, and who wants to change a row waits until the transaction \
         ends",
        Some("a WHERE that names the rows; in batches when they are many");
    FILLING_ALL = "filling-column-at-once", None,
        &[BlocksWriters],
        "every row of {} is written once more to fill {part}, and who wants to change a row waits until the transaction \
         ends",
        Some("a constant default in ADD COLUMN, or batches in a delta with the header `-- pum: no-transaction`");
    TRUNCATING = "truncate", None,
        &[BlocksReaders, BlocksWriters, LosesData],
        "all rows of {} are lost, and nobody reads or writes it until the transaction ends",
        None;
    TRUNCATING_CASCADE = "ban-truncate-cascade", Some(Squawk::BanTruncateCascade),
        &[BlocksReaders, BlocksWriters, LosesData],
        "all rows of {} are lost and those of every table that refers to it, and nobody reads or writes them until the \
         transaction ends",
        Some("TRUNCATE without CASCADE, with every table named");
    DROPPING_COLUMN = "ban-drop-column", Some(Squawk::BanDropColumn),
        &[LosesData],
        "what the column {part} of {} holds is lost",
        Some("leave the column for a release that does not use it, and drop it in the next one");
    DROPPING_TABLE = "ban-drop-table", Some(Squawk::BanDropTable),
        &[LosesData],
        "all rows of {} are lost",
        Some("leave the table, renamed, for a release that does not use it, and drop it in the next one");
    DROPPING_SCHEMA = "ban-drop-schema", Some(Squawk::BanDropSchema),
        &[LosesData],
        "everything in the schema {} is lost, with the rows of its tables",
        Some("drop what is known to be in it by name, then the schema without CASCADE");
    DROPPING_DATABASE = "ban-drop-database", Some(Squawk::BanDropDatabase),
        &[LosesData],
        "the database {} is lost with everything in it",
        None;
    DROPPING_EXTENSION = "ban-drop-extension", Some(Squawk::BanDropExtension),
        &[LosesData],
        "every column of a type of the extension {} is lost with what it holds",
        Some("DROP EXTENSION without CASCADE, after what depends on it was dropped by name");
    DROPPING_TYPE = "ban-drop-type", Some(Squawk::BanDropType),
        &[LosesData],
        "every column of the type {} is lost with what it holds",
        Some("DROP TYPE without CASCADE, after what depends on it was dropped by name");
    DROPPING_DOMAIN = "ban-drop-domain", Some(Squawk::BanDropDomain),
        &[LosesData],
        "every column of the domain {} is lost with what it holds",
        Some("DROP DOMAIN without CASCADE, after what depends on it was dropped by name");
    DROPPING_OWNED = "drop-owned", None,
        &[LosesData],
        "everything that the role {} owns in this database is lost, with the rows of its tables",
        Some("REASSIGN OWNED first: then DROP OWNED takes privileges only");
    UNREAD = "unread", None,
        &[],
        "this was not read: ",
        None;
    BAD_ALLOW = "bad-allow", None,
        &[],
        "this `-- pum: allow` allows nothing: ",
        Some("-- pum: allow RULE reason");
}
