//! Inputs that are nearly right: such of the corpus, with a few changes.

use fastrand::Rng;

/// The longest that an input grows to; limits are tried by changes that repeat.
const LONGEST: usize = 80 * 1024;

/// What readers look for, and what trips them.
const WORDS: [&str; 58] = [
    "access_token",
    "refresh_token",
    "expires_in",
    "token_type",
    "scope",
    "error",
    "invalid_grant",
    "the-canary",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\n",
    "{",
    "}",
    "[",
    "]",
    "{\"a\":",
    "[[[[[[[[",
    ",",
    ":",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "1e9",
    "3600.0",
    "9223372036854775808",
    "0.1",
    "&",
    "=",
    "%00",
    "%2e",
    "+",
    "~0",
    "~1",
    "/",
    "/0",
    "/01",
    "/-",
    ";",
    "; Max-Age=",
    "; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    "Domain=",
    "https://",
    "http://",
    "//",
    "@",
    "#",
    "?",
    "127.0.0.1",
    "169.254.169.254",
    "[::ffff:",
    "0x7f",
    "。",
    "\u{ff11}",
    "\r\n",
];

pub(crate) fn input(corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = pick(corpus, random).clone();
    for _ in 0..=random.u8(..6) {
        change(&mut input, corpus, random);
    }
    input.truncate(LONGEST);
    input
}

fn pick<'a, T>(items: &'a [T], random: &mut Rng) -> &'a T {
    &items[random.usize(..items.len())]
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Rng) {
    let at = random.usize(..=input.len());
    let to = at + random.usize(..=(input.len() - at).min(40));
    match random.u8(..10) {
        0 => drop(input.splice(at..at, pick(&WORDS, random).bytes())),
        1 => drop(input.splice(at..to, pick(&WORDS, random).bytes())),
        2 => drop(input.drain(at..to)),
        3 => input.truncate(at),
        4 if at < input.len() => input[at] ^= 1 << random.u8(..8),
        5 if at < input.len() => input[at] = random.u8(..),
        6 => {
            let piece = input[at..to].to_vec();
            input.splice(at..at, piece);
        }
        // Deep, long or many.
        7 if random.u8(..8) == 0 && at < to => {
            let piece = input[at..to].repeat(random.usize(1..LONGEST / (to - at)));
            input.splice(at..to, piece);
        }
        8 => {
            let other = pick(corpus, random);
            let from = random.usize(..=other.len());
            input.splice(at..to, other[from..].iter().copied());
        }
        _ => {
            let digits = random.u64(..) >> random.u8(..64);
            input.splice(at..to, digits.to_string().into_bytes());
        }
    }
}
