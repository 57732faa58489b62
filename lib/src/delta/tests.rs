use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;

/// Directories that hold files of these names.
fn directories(names: &[&[&str]]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let root = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (number, names) in names.iter().enumerate() {
        let path = root.path().join(format!("d{number}"));
        fs::create_dir(&path).unwrap();
        for name in *names {
            fs::write(path.join(name), "").unwrap();
        }
        paths.push(path);
    }
    (root, paths)
}

fn read(names: &[&[&str]]) -> Result<Deltas> {
    let (_root, paths) = directories(names);
    Deltas::read(&paths)
}

/// Directory and file name.
fn tail(path: &Path) -> String {
    let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    format!("{}/{}", parts[1], parts[0])
}

#[test]
fn versions_are_numbers() {
    let version = |text: &str| text.parse::<Version>().unwrap();
    assert_eq!(version("100.002.9999").to_string(), "100.2.9999");
    assert!(version("1.10.0") > version("1.9.0"));
    assert!(version("1.9.0") == version("01.09.00"));
    assert_eq!(format!("{:>8}|", version("1.2.3")), "   1.2.3|");
    for text in [
        "",
        "1",
        "1.0",
        "1.0.0.0",
        "v1.0.0",
        "1.0.0-rc1",
        "1.0.0\n",
        " 1.0.0",
        "1..0",
        "+1.0.0",
        "١.٠.٠",
    ] {
        let error = text.parse::<Version>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().ends_with("is not a version"), "{text}");
    }
    let error = "1.99999999999999999999.0".parse::<Version>().unwrap_err();
    assert_eq!(
        error.message(),
        "the number 99999999999999999999 in a version is too large"
    );
}

#[test]
fn names_are_read_as_pum_0_10_reads_them() {
    let deltas = read(&[&[
        "delta_100.002.9999_abc.sql",
        "delta_1.1.0.sql",
        "delta_1.1.1_.pre.sql",
        "delta_1.1.2__x_.post.py",
        "delta_1.1.3y.py",
        "delta_1.1.4_été.post.sql",
        "delta_1.1.5_a.pre.py",
        "README.md",
        "other.sql",
        "deltas.txt",
        ".delta_1.0.0_x.sql.swp",
        "previous.sql",
    ]])
    .unwrap();
    let found: Vec<(String, i32)> = deltas
        .deltas
        .iter()
        .map(|delta| (delta.to_string(), delta.code()))
        .collect();
    let expected = [
        ("1.1.0 (delta sql)", 8),
        ("1.1.1 (pre sql)", 9),
        ("1.1.2 x_ (post py)", 6),
        ("1.1.3 y (delta py)", 4),
        ("1.1.4 été (post sql)", 10),
        ("1.1.5 a (pre py)", 5),
        ("100.2.9999 abc (delta sql)", 8),
    ];
    assert_eq!(found, expected.map(|(text, code)| (text.to_owned(), code)));
    assert_eq!(deltas.near_misses, []);
}

#[test]
fn deltas_come_in_the_order_of_pum_0_10() {
    let deltas = read(&[
        &[
            "delta_1.10.0_a.sql",
            "delta_1.9.0_b.sql",
            "delta_1.9.0_a.sql",
            "delta_1.9.0_a.py",
            "delta_1.9.0_z.pre.sql",
            "delta_1.9.0_a.pre.sql",
            "delta_1.9.0_z.pre.py",
            "delta_1.9.0_a.post.sql",
            "delta_1.9.0_a.post.py",
            "pre-all.sql",
            "pre-all.py",
            "post-all.sql",
            "post-all.py",
        ],
        &["delta_1.0.0_a.sql", "pre-all.sql", "post-all.sql", "pre-all.py"],
    ])
    .unwrap();
    let names: Vec<String> = deltas.deltas.iter().map(|delta| tail(&delta.path)).collect();
    assert_eq!(
        names,
        [
            "d0/delta_1.9.0_z.pre.py",
            "d0/delta_1.9.0_a.pre.sql",
            "d0/delta_1.9.0_z.pre.sql",
            "d0/delta_1.9.0_a.py",
            "d0/delta_1.9.0_a.sql",
            "d0/delta_1.9.0_b.sql",
            "d0/delta_1.9.0_a.post.py",
            "d0/delta_1.9.0_a.post.sql",
            "d0/delta_1.10.0_a.sql",
            "d1/delta_1.0.0_a.sql",
        ]
    );
    let names = |list: &[Surrounding]| -> Vec<String> { list.iter().map(|file| tail(&file.path)).collect() };
    assert_eq!(
        names(&deltas.pre_all),
        ["d1/pre-all.py", "d1/pre-all.sql", "d0/pre-all.py", "d0/pre-all.sql"]
    );
    assert_eq!(
        names(&deltas.post_all),
        ["d0/post-all.py", "d0/post-all.sql", "d1/post-all.sql"]
    );
}

#[test]
fn near_misses_are_named_with_a_reason() {
    let cases = [
        ("DELTA_1.0.0_x.sql", "does not begin with delta_"),
        (
            "Pre-All.sql",
            "is none of pre-all.py, pre-all.sql, post-all.py and post-all.sql",
        ),
        ("delta-1.0.0_x.sql", "does not begin with delta_"),
        ("delta.sql", "does not begin with delta_"),
        (
            "delta_1.0.0_a b.sql",
            "has ' ' in its name, where only letters, digits and _ may stand",
        ),
        (
            "delta_1.0.0_a\n.sql",
            "has '\\n' in its name, where only letters, digits and _ may stand",
        ),
        ("delta_1.0.0_x.SQL", r#"ends with ".SQL"; the endings are"#),
        ("delta_1.0.0_x.sql\n", r#"ends with ".sql\n"; the endings are"#),
        ("delta_1.0.0_x.sql~", r#"ends with ".sql~"; the endings are"#),
        ("delta_1.0_x.sql", "has no version X.Y.Z: \"1.0\" is not a version"),
        ("delta_1.1.1_name.sql.post", r#"ends with ".sql.post"; the endings are"#),
        ("delta_1.5.7_x.y.sql", "has a dot in its name"),
        ("delta_1.6.1_name", "has no ending; the endings are"),
        (
            "delta_18446744073709551616.0.0_x.sql",
            "has no version X.Y.Z: the number 18446744073709551616",
        ),
        ("delta_x.sql", "has no version X.Y.Z after delta_"),
        ("post_all.py", "is none of pre-all.py"),
    ];
    let names: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    let deltas = read(&[&names]).unwrap();
    assert_eq!(deltas.deltas, []);
    assert_eq!(deltas.near_misses.len(), cases.len());
    for (name, reason) in cases {
        let miss = deltas
            .near_misses
            .iter()
            .find(|miss| miss.path.ends_with(name))
            .unwrap();
        assert!(miss.reason.starts_with(reason), "{name}: {}", miss.reason);
    }
}

#[test]
fn what_cannot_be_read_is_a_near_miss() {
    let (_root, paths) = directories(&[&["delta_1.0.0_real.sql", "target"]]);
    let path = |name: &str| paths[0].join(name);
    fs::create_dir(path("delta_1.0.0_directory.sql")).unwrap();
    symlink(path("target"), path("delta_1.0.0_link.sql")).unwrap();
    symlink(path("nothing"), path("delta_1.0.0_broken.sql")).unwrap();
    symlink(path("delta_1.0.0_loop.sql"), path("delta_1.0.0_loop.sql")).unwrap();
    symlink("/dev/null", path("delta_1.0.0_device.sql")).unwrap();
    // Opening a named pipe would wait for ever.
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("delta_1.0.0_pipe.sql"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    fs::write(paths[0].join(std::ffi::OsStr::from_bytes(b"delta_1.0.0_\xe9.sql")), "").unwrap();
    let deltas = Deltas::read(&paths).unwrap();
    let names: Vec<&str> = deltas.deltas.iter().map(|delta| delta.name.as_str()).collect();
    assert_eq!(names, ["link", "real"]);
    let reasons: Vec<&str> = deltas.near_misses.iter().map(|miss| miss.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "is a symbolic link to nothing",
            "is not a regular file",
            "is a directory",
            "is a symbolic link to nothing",
            "is not a regular file",
            "has a name that is not UTF-8",
        ]
    );
}

#[test]
fn the_same_delta_twice_is_refused_with_both_paths() {
    for (one, other) in [
        ("delta_1.2.0_a.sql", "delta_1.2.0_a.sql"),
        ("delta_1.02.0_a.sql", "delta_1.2.0_a.sql"),
        ("delta_1.2.0_a.sql", "delta_1.2.0__a.sql"),
    ] {
        let error = read(&[&[one], &[other]]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            error
                .message()
                .starts_with("the delta 1.2.0 a (delta sql) is there twice")
        );
        assert!(error.message().contains(&format!("d0/{one}\"")), "{error}");
        assert!(error.message().contains(&format!("d1/{other}\"")), "{error}");
    }
    let error = read(&[&["delta_1.2.0_a.sql", "delta_1.2.0_A.sql"]]).unwrap_err();
    assert!(error.message().ends_with("differ only in upper and lower case"));
    // Other kinds, names and versions are other deltas.
    let deltas = read(&[
        &["delta_1.2.0_a.sql", "delta_1.2.0_a.pre.sql", "delta_1.2.0_a.py"],
        &["delta_1.2.0_b.sql", "delta_1.2.1_a.sql", "delta_1.2.0_A.sql"],
    ]);
    assert_eq!(deltas.unwrap().deltas.len(), 6);
}

#[test]
fn directories_are_there_and_read_once() {
    let (root, paths) = directories(&[&["delta_1.0.0_a.sql"], &[]]);
    let missing = root.path().join("missing");
    let error = Deltas::read(&[paths[0].clone(), missing.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(
        error.message(),
        format!("the delta directory \"{}\" does not exist", missing.display())
    );
    let error = Deltas::read(&[paths[0].join("delta_1.0.0_a.sql")]).unwrap_err();
    assert!(error.message().ends_with("is not a directory"));
    let again = root.path().join("d1/../d0/");
    let deltas = Deltas::read(&[paths[0].clone(), paths[1].clone(), again]).unwrap();
    assert_eq!(deltas.directories, paths);
    assert_eq!(deltas.deltas.len(), 1);
    assert_eq!(deltas.empty_directories().collect::<Vec<_>>(), [paths[1].as_path()]);
}

proptest! {
    #[test]
    fn any_name_is_a_delta_a_near_miss_or_no_business_of_ours(
        name in prop_oneof![
            "[Dd]elta[_-]?[0-9.]{0,8}[_a-zé .]{0,6}(\\.(pre|post|sql|py|SQL)){0,3}",
            "[^/\0]{1,30}",
        ],
    ) {
        prop_assume!(name != "." && name != "..");
        let (_root, paths) = directories(&[&[]]);
        fs::write(paths[0].join(&name), "").unwrap();
        let deltas = Deltas::read(&paths).unwrap();
        let found = deltas.deltas.len() + deltas.near_misses.len() + deltas.pre_all.len() + deltas.post_all.len();
        prop_assert!(found <= 1);
        if name.to_lowercase().starts_with("delta_") {
            prop_assert_eq!(found, 1);
        }
    }

    #[test]
    fn versions_compare_as_their_numbers(one in any::<(u64, u64, u64)>(), other in any::<(u64, u64, u64)>()) {
        let version = |(a, b, c): (u64, u64, u64)| format!("{a}.0{b}.00{c}").parse::<Version>().unwrap();
        prop_assert_eq!(version(one).cmp(&version(other)), one.cmp(&other));
        prop_assert_eq!(version(one).to_string().parse::<Version>().unwrap(), version(one));
    }
}
