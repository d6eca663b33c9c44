//! Which of two client secrets is sent, while one takes the place of the other at the authorization server. The style stays
//! the same. What is known holds for one version of the source, and is lost with the process: that costs one request.

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

/// What is known of the secrets of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    source_version: String,
    /// The one to send.
    send: Which,
    /// Whether the other one was refused, and nothing was heard of this one since.
    other_was_refused: bool,
}

impl Known {
    /// The one to send: that which was taken last, or comes after a refusal of the other.
    pub fn choice(known: Option<&Self>, source_version: &str) -> Which {
        of(known, source_version).map_or(Which::Present, |known| known.send)
    }

    /// After a refusal. True when the other one is to be sent now; when both were refused, the next round begins anew.
    pub fn refused(known: Option<&Self>, source_version: &str, sent: Which) -> (Self, bool) {
        let both = of(known, source_version).is_some_and(|known| known.other_was_refused);
        let known = Self {
            source_version: source_version.to_owned(),
            send: sent.other(),
            other_was_refused: !both,
        };
        (known, !both)
    }

    /// After a write of ours made another version of the source, with the same secrets.
    pub fn follow(&mut self, from: Option<&str>, to: Option<&str>) {
        if let Some(to) = to.filter(|_| from == Some(self.source_version.as_str())) {
            to.clone_into(&mut self.source_version);
        }
    }

    /// After the server took one. True when that is news: the present one was just refused, and the next one is not.
    pub fn taken(known: Option<&Self>, source_version: &str, sent: Which) -> (Self, bool) {
        let is_news = sent == Which::Next
            && of(known, source_version).is_some_and(|known| known.other_was_refused);
        let source_version = source_version.to_owned();
        (Self { source_version, send: sent, other_was_refused: false }, is_news)
    }
}

fn of<'k>(known: Option<&'k Known>, source_version: &str) -> Option<&'k Known> {
    known.filter(|known| known.source_version == source_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_refusal_the_other_one_is_sent_and_stays_in_use() {
        assert_eq!(Known::choice(None, "7"), Which::Present);
        let (known, again) = Known::refused(None, "7", Which::Present);
        assert!(again);
        assert_eq!(Known::choice(Some(&known), "7"), Which::Next);
        let (known, is_news) = Known::taken(Some(&known), "7", Which::Next);
        assert!(is_news);
        assert_eq!(Known::choice(Some(&known), "7"), Which::Next);
        let (known, is_news) = Known::taken(Some(&known), "7", Which::Next);
        assert!(!is_news, "it is told once");
        assert_eq!(Known::choice(Some(&known), "8"), Which::Present, "another source begins anew");
    }

    #[test]
    fn a_next_one_that_ends_gives_way_to_the_present_one_without_a_word() {
        let (known, _) = Known::taken(None, "7", Which::Next);
        let (known, again) = Known::refused(Some(&known), "7", Which::Next);
        assert!(again && Known::choice(Some(&known), "7") == Which::Present);
        assert!(!Known::taken(Some(&known), "7", Which::Present).1);
    }

    #[test]
    fn a_write_of_ours_into_the_source_changes_nothing() {
        let (mut known, _) = Known::taken(None, "7", Which::Next);
        known.follow(Some("7"), Some("8"));
        assert_eq!(Known::choice(Some(&known), "8"), Which::Next);
        known.follow(Some("9"), Some("10"));
        assert_eq!(Known::choice(Some(&known), "10"), Which::Present, "somebody else wrote before");
    }

    #[test]
    fn both_are_tried_once_a_round() {
        let mut known = None;
        for round in 0..3 {
            let first = Known::choice(known.as_ref(), "7");
            let (after, again) = Known::refused(known.as_ref(), "7", first);
            assert!(again, "{round}");
            let second = Known::choice(Some(&after), "7");
            assert_ne!(first, second);
            let (after, again) = Known::refused(Some(&after), "7", second);
            assert!(!again, "{round}");
            known = Some(after);
        }
    }
}
