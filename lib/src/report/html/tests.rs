use std::time::{Duration, UNIX_EPOCH};

use super::{base64, moment, policy, thousands};

#[test]
fn digests_are_written_in_base64() {
    for (text, encoded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob\u{7f}>", "Zm9vYn8+"),
    ] {
        assert_eq!(base64(text.as_bytes()), encoded);
    }
    assert_eq!(policy().matches("'sha256-").count(), 2);
}

#[test]
fn numbers_and_moments_are_written_for_a_person() {
    assert_eq!(
        [7, 1000, 1_234_567].map(thousands),
        ["7", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
    );
    for (seconds, written) in [
        (0, "1 January 1970, 00:00 UTC"),
        (951_782_399, "28 February 2000, 23:59 UTC"),
        (951_782_400, "29 February 2000, 00:00 UTC"),
        (1_767_225_599, "31 December 2025, 23:59 UTC"),
        (4_107_542_400, "1 March 2100, 00:00 UTC"),
    ] {
        let moment = moment(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        assert_eq!(moment.person, written);
    }
    assert_eq!(
        moment(UNIX_EPOCH + Duration::from_secs(1_709_210_096)).unwrap().machine,
        "2024-02-29T12:34Z"
    );
    assert!(moment(UNIX_EPOCH - Duration::from_secs(1)).is_none());
}
