//! Dumps that are damaged, not whole, of another kind or too new: refused before anything is changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/dumps.rs"]
mod dumps;
mod support;

use std::fs;
use std::path::Path;

use pum::{DumpOptions, ErrorKind, Format, RestoreOptions, Run, dump, restore};

use dumps::*;

#[test]
fn truncated_dumps_are_refused() {
    let place = directory();
    for (format, name) in [(Format::Custom, "custom"), (Format::Plain, "plain")] {
        let whole = place.path().join(name);
        dump_to(&whole, format);
        let bytes = fs::read(&whole).unwrap();
        let cut = place.path().join(format!("{name}.cut"));
        let length = bytes.len();
        for keep in [
            1,
            5,
            20,
            100,
            length / 10,
            length / 2,
            length - 2000,
            length - 100,
            length - 40,
        ] {
            fs::write(&cut, &bytes[..keep]).unwrap();
            println!("{name}, {keep} of {length} bytes");
            let words = if keep < 50 { "" } else { "is damaged or not complete" };
            assert_refused(&cut, words);
        }
        fs::write(&cut, "").unwrap();
        assert_refused(&cut, "it is empty");
        // With the checksum beside it, one byte less is enough.
        fs::copy(
            whole.with_file_name(format!("{name}.sha256")),
            place.path().join(format!("{name}.cut.sha256")),
        )
        .unwrap();
        fs::write(&cut, &bytes[..length - 1]).unwrap();
        assert_refused(&cut, if format == Format::Custom { "is not what" } else { "" });
        fs::remove_file(place.path().join(format!("{name}.cut.sha256"))).unwrap();
    }
}

#[test]
fn damaged_directories_are_refused() {
    let place = directory();
    for compression in ["0", "6"] {
        let whole = place.path().join(format!("whole{compression}"));
        let options = DumpOptions {
            format: Format::Directory,
            compression: Some(compression.into()),
            ..DumpOptions::default()
        };
        dump(source(), &whole, &options, &Run::new()).unwrap();
        let mut data: Vec<(u64, String)> = names(&whole)
            .into_iter()
            .filter(|name| name.contains(".dat") && name.starts_with(|c: char| c.is_ascii_digit()))
            .map(|name| (fs::metadata(whole.join(&name)).unwrap().len(), name))
            .collect();
        data.sort();
        let biggest = data.last().unwrap().1.clone();
        let broken = place.path().join("broken");
        let damage = |name: &str, keep: Option<u64>| {
            let _ = fs::remove_dir_all(&broken);
            fs::create_dir(&broken).unwrap();
            for name in names(&whole) {
                fs::copy(whole.join(&name), broken.join(&name)).unwrap();
            }
            match keep {
                Some(keep) => fs::OpenOptions::new()
                    .write(true)
                    .open(broken.join(name))
                    .unwrap()
                    .set_len(keep)
                    .unwrap(),
                None => fs::remove_file(broken.join(name)).unwrap(),
            }
            assert_refused(&broken, "");
        };
        let length = fs::metadata(whole.join(&biggest)).unwrap().len();
        for keep in [Some(0), Some(100), Some(length / 2), Some(length - 3), None] {
            damage(&biggest, keep);
        }
        for keep in [Some(0), Some(200), None] {
            damage("toc.dat", keep);
        }
    }
}

#[test]
fn a_flipped_bit_is_seen() {
    let place = directory();
    for (format, name) in [(Format::Custom, "custom"), (Format::Plain, "plain")] {
        let file = place.path().join(name);
        let options = DumpOptions {
            format,
            // Not compressed: nothing else would notice.
            compression: (format == Format::Custom).then(|| "0".to_owned()),
            ..DumpOptions::default()
        };
        dump(source(), &file, &options, &Run::new()).unwrap();
        let whole = fs::read(&file).unwrap();
        for part in 1..8 {
            let mut bytes = whole.clone();
            let place = bytes.len() * part / 8;
            bytes[place] ^= 4;
            fs::write(&file, &bytes).unwrap();
            assert_refused(&file, "is not what");
        }
        fs::write(&file, &whole).unwrap();
        restore(
            &file,
            &support::database("whole"),
            &RestoreOptions::default(),
            &Run::new(),
        )
        .unwrap();
    }
}

/// Backups in every format that is offered, each cut off and each with a flipped bit at so many places.
const DAMAGES: usize = 170;

/// A backup of a small database in each format: its name, and the file of it that is damaged.
fn backups(place: &Path) -> Vec<(&'static str, std::path::PathBuf)> {
    let small = support::database("small");
    execute(
        &small,
        "create table public.meter (id int primary key, note text);
         insert into public.meter select n, md5(n::text) from generate_series(1, 400) n",
    );
    let formats = [
        (Format::Custom, "custom"),
        (Format::Plain, "plain"),
        (Format::Directory, "directory"),
    ];
    let backup = |(format, name): (Format, &'static str)| {
        let file = place.join(name);
        let options = DumpOptions {
            format,
            ..DumpOptions::default()
        };
        dump(&small, &file, &options, &Run::new()).unwrap();
        let damaged = match format {
            Format::Directory => {
                let data = |name: &String| name.contains(".dat") && name.starts_with(|c: char| c.is_ascii_digit());
                file.join(names(&file).into_iter().find(data).unwrap())
            }
            _ => file,
        };
        (name, damaged)
    };
    formats.map(backup).into()
}

/// Damages a file at places that are spread over it, and each time wants the backup refused with the database untouched.
fn refused_at_every_place(
    backup: &Path,
    file: &Path,
    last: impl Fn(usize) -> usize,
    damage: impl Fn(&mut Vec<u8>, usize),
) -> usize {
    let whole = fs::read(file).unwrap();
    let target = support::database("damaged");
    let last = last(whole.len());
    for number in 0..DAMAGES {
        // The ends are among them.
        let at = last * number / (DAMAGES - 1);
        let mut bytes = whole.clone();
        damage(&mut bytes, at);
        fs::write(file, &bytes).unwrap();
        let options = RestoreOptions {
            ignore_errors: number % 2 == 1,
            ..RestoreOptions::default()
        };
        let refused = restore(backup, &target, &options, &Run::new());
        let error = refused.expect_err(&format!("{} at byte {at} of {}", file.display(), whole.len()));
        assert_eq!(
            error.state(),
            Some("nothing was changed in any database"),
            "at byte {at}: {error}"
        );
    }
    assert_eq!(contents(&target), Vec::<String>::new());
    fs::write(file, &whole).unwrap();
    restore(backup, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    DAMAGES
}

#[test]
fn backups_are_refused_wherever_they_are_cut_off() {
    let place = directory();
    let mut refused = 0;
    for (name, file) in backups(place.path()) {
        // Without the checksums, as a backup that another program made has none. The last line ends of a plain one may go.
        fs::remove_file(place.path().join(format!("{name}.sha256"))).unwrap();
        let last = |length: usize| if name == "plain" { length - 10 } else { length - 1 };
        refused += refused_at_every_place(&place.path().join(name), &file, last, Vec::truncate);
    }
    println!("{refused} truncated backups refused");
}

#[test]
fn backups_are_refused_wherever_a_bit_is_flipped() {
    let place = directory();
    let mut refused = 0;
    for (name, file) in backups(place.path()) {
        let flip = |bytes: &mut Vec<u8>, at: usize| bytes[at] ^= 1 << (at % 8);
        refused += refused_at_every_place(&place.path().join(name), &file, |length| length - 1, flip);
    }
    println!("{refused} backups with a flipped bit refused");
}

#[test]
fn what_is_no_dump_is_refused() {
    let place = directory();
    let file = place.path().join("some file");
    assert_refused_missing(&file);
    for (bytes, words) in [
        (&b"create table t (id int);\n"[..], "is no dump of PostgreSQL"),
        (b"\x00\x01\x02\xff", "is no dump of PostgreSQL"),
        (b"PGDMP", "cut off in its header"),
        (
            b"PGDMP\x01\x0e\x00\xff\x08\x01\x01\x01\x01\x01\x01\x01\x01\x01",
            "cut off in its header",
        ),
    ] {
        fs::write(&file, bytes).unwrap();
        assert_refused(&file, words);
    }
    assert_refused(place.path(), "there is no toc.dat in it");
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    fs::write(&file, tar).unwrap();
    assert_refused(&file, "is a tar archive");
}

fn assert_refused_missing(file: &Path) {
    let target = support::database("missing");
    let options = RestoreOptions {
        ignore_errors: true,
        ..RestoreOptions::default()
    };
    let error = restore(file, &target, &options, &Run::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains("No such file"), "{error}");
}

#[test]
fn an_archive_of_a_newer_pg_dump_is_named() {
    let place = directory();
    let file = place.path().join("new");
    dump_to(&file, Format::Custom);
    fs::remove_file(place.path().join("new.sha256")).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    if bytes[6] < 15 {
        // From 1.15 on the compression is one byte.
        bytes.drain(11..15);
    }
    bytes[6] = 99;
    // The version of pg_dump is the second one of the header, and a length of 4 bytes and a sign stand before it.
    let version = format!("{}.", support::server().version().major()).into_bytes();
    let places: Vec<usize> = (5..200)
        .filter(|at| bytes[*at..].starts_with(&version) && bytes[at - 3..*at] == [0, 0, 0])
        .collect();
    bytes[places[1]..places[1] + 2].copy_from_slice(b"29");
    fs::write(&file, &bytes).unwrap();
    assert_refused(&file, "was written by pg_dump 29.");
    assert_refused(&file, "postgresql-client-29");
}

#[test]
fn psql_commands_in_a_plain_dump_are_refused() {
    let place = directory();
    assert_refused(&plain(place.path(), "\\! touch /tmp/planted"), "plain.sql");
    assert_refused(
        &plain(place.path(), "create table a (b int);\n\\connect other\n"),
        "plain.sql",
    );
    assert_refused(&plain(place.path(), "COPY a FROM stdin;\n1\n"), "");
}

/// A directory dump whose files, by their names or as links, lead elsewhere.
#[test]
fn a_directory_that_leads_elsewhere_is_refused() {
    let place = directory();
    let whole = place.path().join("whole");
    let options = DumpOptions {
        format: Format::Directory,
        compression: Some("0".into()),
        ..DumpOptions::default()
    };
    dump(source(), &whole, &options, &Run::new()).unwrap();
    let outside = place.path().join("outside");
    fs::write(&outside, "1\t1\t1\n\\.\n\n\n").unwrap();
    let data = names(&whole)
        .into_iter()
        .find(|name| name.ends_with(".dat") && name.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap();
    let broken = place.path().join("broken");
    let with = |change: &dyn Fn()| {
        let _ = fs::remove_dir_all(&broken);
        fs::create_dir(&broken).unwrap();
        for name in names(&whole) {
            fs::copy(whole.join(&name), broken.join(&name)).unwrap();
        }
        change();
    };
    // The files as they are restore.
    with(&|| ());
    let target = support::database("led");
    restore(&broken, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    assert_eq!(contents(&target), contents(source()));

    with(&|| {
        fs::remove_file(broken.join(&data)).unwrap();
        std::os::unix::fs::symlink(&outside, broken.join(&data)).unwrap();
    });
    assert_refused(&broken, &format!("{data} in it is not a regular file"));
    // A pipe would be waited for without end.
    with(&|| {
        fs::remove_file(broken.join(&data)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(broken.join(&data)).status();
        assert!(made.unwrap().success());
    });
    assert_refused(&broken, &format!("{data} in it is not a regular file"));
    // A name of the same length in the table of contents, and in the list of large objects.
    let other = format!("../{}", "x".repeat(data.len() - 3));
    with(&|| {
        let toc = broken.join("toc.dat");
        let mut bytes = fs::read(&toc).unwrap();
        let mut length = vec![0];
        length.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
        let named = [&length[..], data.as_bytes()].concat();
        let at = bytes.windows(named.len()).position(|part| part == named).unwrap();
        bytes[at + length.len()..at + named.len()].copy_from_slice(other.as_bytes());
        fs::write(toc, bytes).unwrap();
    });
    assert_refused(&broken, "leads to another place");
    with(&|| {
        let list = names(&broken)
            .into_iter()
            .find(|name| name.starts_with("blobs") && name.ends_with(".toc"));
        let list = broken.join(list.unwrap());
        let text = fs::read_to_string(&list).unwrap().replace("blob_", "../blob_");
        fs::write(list, text).unwrap();
    });
    assert_refused(&broken, "leads to another place");
    // Names of objects may be anything.
    let named = support::database("named");
    execute(
        &named,
        "create table public.\"../../etc/passwd\" (a int); insert into public.\"../../etc/passwd\" values (1)",
    );
    let file = place.path().join("named");
    dump(&named, &file, &options, &Run::new()).unwrap();
    let target = support::database("named");
    restore(&file, &target, &RestoreOptions::default(), &Run::new()).unwrap();
    assert_eq!(contents(&target), contents(&named));
}
