//! What every page has: its policy, and how moments and numbers are written.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

/// What every page looks like, and what runs in it.
pub(crate) const STYLE: &str = include_str!("../../templates/report.css");
pub(crate) const SCRIPT: &str = include_str!("../../templates/report.js");

/// A moment, for a machine and for a person.
pub(crate) struct Moment {
    pub(crate) machine: String,
    pub(crate) person: String,
}

/// What the page may do: apply its own style and run its own script.
pub(crate) fn policy(style: &str, script: &str) -> String {
    let [style, script] = [style, script].map(|text| base64(&Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
    )
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, place| {
            number << 8 | chunk.get(place).copied().map_or(0, usize::from)
        });
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(DIGITS[number >> (18 - 6 * place) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// A number with a thin space between thousands.
pub(crate) fn thousands(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// The moment in UTC, to the minute. None when it is before 1970.
pub(crate) fn moment(time: SystemTime) -> Option<Moment> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    // Years that begin in March have their odd day at the end; 719,468 days lie between March of year 0 and 1970.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year + u64::from(month < 2);
    let (hour, minute) = (seconds / 3_600 % 24, seconds / 60 % 60);
    let name = MONTHS.get(usize::try_from(month).ok()?)?;
    Some(Moment {
        machine: format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}Z", month + 1),
        person: format!("{day} {name} {year}, {hour:02}:{minute:02} UTC"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{SCRIPT, STYLE, base64, moment, policy, thousands};

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
        assert_eq!(policy(STYLE, SCRIPT).matches("'sha256-").count(), 2);
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
}
