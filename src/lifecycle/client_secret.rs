//! Which of two client secrets is sent, while one takes the place of the other at the authorization server. The style stays
//! the same. What is known holds for a pair of secrets, whatever else is written into the source, and is told apart by a
//! digest that means nothing to another process.

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// That of `source.keys.clientSecret`.
    Present,
    /// That of `source.keys.nextClientSecret`.
    Next,
}

impl Which {
    fn other(self) -> Self {
        match self {
            Self::Present => Self::Next,
            Self::Next => Self::Present,
        }
    }
}

/// What is known of a pair of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Digest of the pair.
    pair: String,
    /// The one to send.
    send: Which,
    /// Whether one was refused, and none was taken since.
    was_refused: bool,
}

impl Known {
    /// The one to send: that which was taken last, or comes after a refusal of the other. A process that knows nothing
    /// takes the one that brought the last token, if that is known.
    pub fn choice(known: Option<&Self>, pair: &str, last: Option<Which>) -> Which {
        of(known, pair).map_or_else(|| last.unwrap_or(Which::Present), |known| known.send)
    }

    /// After a refusal: the other one is next. True when it is to be sent at once, which is so once until one is taken; from
    /// then on they take turns, with the pauses of any refusal.
    pub fn refused(known: Option<&Self>, pair: &str, sent: Which) -> (Self, bool) {
        let at_once = of(known, pair).is_none_or(|known| !known.was_refused);
        (Self { pair: pair.to_owned(), send: sent.other(), was_refused: true }, at_once)
    }

    /// After the server took one. True when that is news: the present one was just refused, and the next one is not.
    pub fn taken(known: Option<&Self>, pair: &str, sent: Which) -> (Self, bool) {
        let is_news = sent == Which::Next && of(known, pair).is_some_and(|known| known.was_refused);
        (Self { pair: pair.to_owned(), send: sent, was_refused: false }, is_news)
    }
}

fn of<'k>(known: Option<&'k Known>, pair: &str) -> Option<&'k Known> {
    known.filter(|known| known.pair == pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_refusal_the_other_one_is_sent_and_stays_in_use() {
        assert_eq!(Known::choice(None, "ab", None), Which::Present);
        let (known, again) = Known::refused(None, "ab", Which::Present);
        assert!(again);
        assert_eq!(Known::choice(Some(&known), "ab", None), Which::Next);
        let (known, is_news) = Known::taken(Some(&known), "ab", Which::Next);
        assert!(is_news);
        assert_eq!(Known::choice(Some(&known), "ab", None), Which::Next);
        let (known, is_news) = Known::taken(Some(&known), "ab", Which::Next);
        assert!(!is_news, "it is told once");
        assert_eq!(Known::choice(Some(&known), "cd", None), Which::Present, "other secrets");
    }

    #[test]
    fn a_process_that_knows_nothing_sends_what_brought_the_last_token() {
        assert_eq!(Known::choice(None, "ab", Some(Which::Next)), Which::Next);
        let (known, _) = Known::refused(None, "ab", Which::Next);
        assert_eq!(Known::choice(Some(&known), "ab", Some(Which::Next)), Which::Present);
    }

    #[test]
    fn a_next_one_that_ends_gives_way_to_the_present_one_without_a_word() {
        let (known, _) = Known::taken(None, "ab", Which::Next);
        let (known, again) = Known::refused(Some(&known), "ab", Which::Next);
        assert!(again && Known::choice(Some(&known), "ab", None) == Which::Present);
        assert!(!Known::taken(Some(&known), "ab", Which::Present).1);
    }

    #[test]
    fn when_both_are_refused_one_follows_at_once_and_then_they_take_turns() {
        let (mut known, at_once) = Known::refused(None, "ab", Which::Present);
        assert!(at_once);
        for round in 0..6 {
            let sent = Known::choice(Some(&known), "ab", None);
            assert_eq!(sent == Which::Next, round % 2 == 0, "{round}");
            let (after, at_once) = Known::refused(Some(&known), "ab", sent);
            assert!(!at_once, "{round}");
            known = after;
        }
        let (known, _) = Known::taken(Some(&known), "ab", Which::Next);
        assert!(Known::refused(Some(&known), "ab", Which::Next).1, "one was taken since");
    }
}
