//! What the role may do.

use pum::{Connection, Expected, Plan, PreflightOptions, RehearsalOptions, Run, Severity, preflight, rehearse};

use crate::{Scene, codes, holds, one};

#[test]
fn a_role_that_cannot_record_is_told() {
    let scene = Scene::new("record");
    let plain = scene.plain("record");
    let name = plain.name();
    let role = name.split("user=").nth(1).unwrap().split(' ').next().unwrap();
    let options = PreflightOptions::new(scene.upgrade());
    scene.execute(&format!(
        "revoke insert, update on water_sys.upgrades from {role}; revoke all on all sequences in schema water_sys from {role}"
    ));
    let found = scene.look_at(&plain, &options);
    assert_eq!(codes(&found), ["cannot_record"]);
    let concern = one(&found, "cannot_record");
    assert_eq!(concern.severity, Severity::Blocks);
    assert_eq!(
        concern.what,
        format!(
            "the role {role} lacks INSERT ON water_sys.upgrades, UPDATE ON water_sys.upgrades, USAGE ON SEQUENCE \
             water_sys.upgrades_id_seq"
        )
    );
    // The upgrade says it itself, and nothing is done before.
    assert!(found.refusal().is_none());
    // It is true, and the advice helps.
    scene.delta("delta_1.1.0_pipe.sql", "select 1");
    let refused = pum::upgrade(&plain, &scene.upgrade(), None, &Run::new()).unwrap_err();
    assert_eq!(refused.kind(), pum::ErrorKind::Refused, "{refused}");
    assert_eq!(refused.state(), Some("nothing was changed"));
    for lacking in ["INSERT ON", "UPDATE ON", "USAGE ON SEQUENCE water_sys.upgrades_id_seq"] {
        assert!(refused.message().contains(lacking), "{refused}");
        assert!(refused.hint().unwrap().contains(lacking), "{refused:?}");
    }
    scene.execute(concern.advice.strip_prefix("let the owner run: ").unwrap());
    assert_eq!(codes(&scene.look_at(&plain, &options)), Vec::<&str>::new());
    pum::upgrade(&plain, &scene.upgrade(), None, &Run::new()).unwrap();
}

#[test]
fn a_table_of_an_older_pum_needs_its_owner_once() {
    let scene = Scene::new("older");
    let plain = scene.plain("older");
    scene.execute("alter table water_sys.upgrades drop column state, drop column run_id");
    let found = scene.look_at(&plain, &PreflightOptions::new(scene.upgrade()));
    let concern = one(&found, "cannot_record");
    holds(
        &concern.what,
        &["water_sys.upgrades lacks the columns run_id, state", "does not own it"],
    );
    holds(&concern.advice, &["the owner, postgres"]);
    assert_eq!(concern.severity, Severity::Blocks);
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}

#[test]
fn a_table_that_is_to_be_created_needs_a_place() {
    let scene = Scene::new("place");
    let plain = scene.plain("place");
    let nothing = Plan {
        current: None,
        reached: None,
        steps: Vec::new(),
        near_misses: Vec::new(),
    };
    for (table, lacks) in [
        ("water.upgrades", "CREATE ON SCHEMA water".to_owned()),
        ("\"New\".upgrades", format!("CREATE ON DATABASE {}", scene.database())),
    ] {
        let upgrade = pum::UpgradeOptions::new(table.parse().unwrap(), Vec::new());
        let options = PreflightOptions::new(upgrade);
        let found = preflight(&plain, &nothing, &options, &Run::new()).unwrap();
        let concern = one(&found, "cannot_record");
        holds(&concern.what, &[&lacks]);
        scene.execute(concern.advice.strip_prefix("let the owner run: ").unwrap());
        let found = preflight(&plain, &nothing, &options, &Run::new()).unwrap();
        assert_eq!(codes(&found), Vec::<&str>::new());
    }
}

#[test]
fn what_the_deltas_create_plainly_is_looked_up() {
    let scene = Scene::new("creates");
    let plain = scene.plain("creates");
    scene.delta(
        "delta_1.2.0_create.sql",
        "-- needs rights\ncreate schema more; create extension if not exists no_such_extension; create extension if not exists plpgsql; \
         create publication water_out",
    );
    let options = PreflightOptions::new(scene.upgrade());
    let found = scene.look_at(&plain, &options);
    assert_eq!(codes(&found), ["cannot_create", "extension_missing", "wal_level"]);
    let create = one(&found, "cannot_create");
    holds(&create.what, &["CREATE EXTENSION, CREATE PUBLICATION, CREATE SCHEMA"]);
    holds(&create.advice, &["GRANT CREATE ON DATABASE"]);
    holds(&one(&found, "extension_missing").what, &["no_such_extension"]);
    holds(&one(&found, "wal_level").what, &["wal_level is minimal"]);
    // They may take another role first, or be for a hoster to decide: told, and not refused.
    assert!(found.refusal().is_none());
    assert_eq!(codes(&scene.look()), ["extension_missing", "wal_level"]);
}

#[test]
fn what_a_superuser_of_a_copy_may_and_the_role_of_production_may_not_is_told() {
    let scene = Scene::new("copied");
    let plain = scene.plain("copied");
    let name = plain.name();
    let role = name.split("user=").nth(1).unwrap().split(' ').next().unwrap();
    scene.execute(&format!(
        "create schema \"More water\"; create schema own authorization {role}; create table own.tap (a int); \
         alter table own.tap owner to {role}"
    ));
    scene.delta(
        "delta_1.2.0_create.sql",
        "create table \"More water\".meter (id int primary key);\n\
         create view own.taps as select a from own.tap;\nalter table own.tap add b int;\n\
         create schema if not exists later;\n",
    );
    // In the throw-away server of a rehearsal it goes well. What the copy must be does not matter here.
    let nothing = tempfile::NamedTempFile::new().unwrap();
    let rehearsal = RehearsalOptions {
        expected: Some(Expected::Sql(vec![nothing.path().to_owned()])),
        server: crate::support::options(),
        ..RehearsalOptions::new(scene.upgrade())
    };
    scene.execute(&format!(
        "grant create on database {} to {role}; grant usage on schema \"More water\" to {role}; \
         grant select on all sequences in schema water_sys to {role}; \
         alter table water.pipe owner to postgres; grant select on water.pipe to {role}",
        scene.database()
    ));
    let rehearsed = rehearse(&plain, &rehearsal, &Run::new()).unwrap();
    let mut copy = Connection::open(rehearsed.copy(), &Run::new()).unwrap();
    copy.query("select from \"More water\".meter", &[]).unwrap();
    drop((copy, rehearsed));
    // Production would refuse it, which is told before it is asked.
    let options = PreflightOptions::new(scene.upgrade());
    let found = scene.look_at(&plain, &options);
    assert_eq!(codes(&found), ["cannot_create", "cannot_alter"]);
    let alter = one(&found, "cannot_alter");
    assert_eq!(
        alter.what,
        format!("the role {role} does not own what the deltas that are due alter: water.pipe (of postgres)")
    );
    let create = one(&found, "cannot_create");
    assert_eq!(
        create.what,
        format!("the role {role} may not create in the schema \"More water\", and the deltas that are due do")
    );
    // It is true, and the advice helps.
    let refused = pum::upgrade(&plain, &scene.upgrade(), None, &Run::new()).unwrap_err();
    assert_eq!(refused.sqlstate(), Some("42501"), "{refused}");
    scene.execute(alter.advice.rsplit_once(": ").unwrap().1);
    let refused = pum::upgrade(&plain, &scene.upgrade(), None, &Run::new()).unwrap_err();
    assert_eq!(refused.sqlstate(), Some("42501"), "{refused}");
    scene.execute(create.advice.strip_prefix("let the owner run: ").unwrap());
    assert_eq!(codes(&scene.look_at(&plain, &options)), Vec::<&str>::new());
    pum::upgrade(&plain, &scene.upgrade(), None, &Run::new()).unwrap();
}

#[test]
fn an_extension_for_superusers_is_told_to_others() {
    let scene = Scene::new("extension");
    let there = scene.ask(
        "select coalesce(min(name), '') from pg_available_extension_versions v where superuser \
         and not coalesce((to_jsonb(v) ->> 'trusted')::bool, false) and name <> 'plpgsql'",
    );
    assert!(!there.is_empty());
    scene.delta("delta_1.2.0_extension.sql", &format!("create extension \"{there}\""));
    let plain = scene.plain("extension");
    scene.execute(&format!(
        "grant create on database {} to {}",
        scene.database(),
        plain.name().split("user=").nth(1).unwrap().split(' ').next().unwrap()
    ));
    let found = scene.look_at(&plain, &PreflightOptions::new(scene.upgrade()));
    assert_eq!(codes(&found), ["extension_privilege"]);
    holds(
        &one(&found, "extension_privilege").what,
        &[&there, "only a superuser may"],
    );
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}

#[test]
fn connections_that_run_out_are_told() {
    let scene = Scene::new("connections");
    let plain = scene.plain("connections");
    let name = plain.name();
    let role = name.split("user=").nth(1).unwrap().split(' ').next().unwrap();
    let options = PreflightOptions::new(scene.upgrade());
    scene.execute(&format!("alter role {role} connection limit 4"));
    let found = scene.look_at(&plain, &options);
    let concern = one(&found, "few_connections");
    assert_eq!(concern.severity, Severity::Know);
    assert_eq!(
        concern.what,
        format!("the role {role} takes 4 connections of this role, and 0 are in use")
    );
    holds(&concern.effect, &["2 to begin and up to 3"]);
    let _others: Vec<pum::Connection> = (0..3)
        .map(|_| pum::Connection::open(&plain, &Run::new()).unwrap())
        .collect();
    let found = scene.look_at(&plain, &options);
    assert_eq!(one(&found, "few_connections").severity, Severity::Blocks);
    // Somebody may leave before it begins.
    assert!(found.refusal().is_none());
    // What limits others is nothing to a superuser.
    assert_eq!(codes(&scene.look()), Vec::<&str>::new());
}
