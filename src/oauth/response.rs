//! The token response (RFC 6749 §5), read as servers really write it.

mod code;
mod depth;
mod echo;
mod kept;
mod lifetime;
mod raw;
mod salvage;
mod session;
mod style;

use std::collections::BTreeMap;

use serde_json::Value;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::error::{Side, TokenError};
use super::secret::{AccessToken, KeptText, RefreshToken, is_token};
use super::sent::Sent;

pub use self::kept::MAX_KEPT;
use self::lifetime::jwt_expiry;
pub use self::lifetime::{Lifetime, MAX_LIFETIME_SECONDS};
pub use self::raw::{Ending, RawResponse};
pub use self::style::{ResponseStyle, Unit};

/// The most bytes of a body that are read.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// How what is compressed begins (RFC 1952 §2.3.1). The request forbids it, since a small body may become a large one.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The most bytes of the headers of an answer that is used.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// A token response that can be used.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// `access_token`.
    pub access_token: AccessToken,
    /// `token_type`; `Bearer` when the server names none.
    pub token_type: String,
    /// `expires_in`.
    pub lifetime: Lifetime,
    /// `refresh_token`, when there is one.
    pub refresh_token: Option<RefreshToken>,
    /// `scope`, split at spaces and commas; empty when the server names none.
    pub scopes: Vec<String>,
    /// How long the refresh token lives, where the answer says so.
    pub refresh_token_lifetime: Lifetime,
    /// Texts for workloads, by their key in the target.
    pub fields: BTreeMap<String, KeptText>,
    /// Keys of such texts that are in the answer, but can't be kept.
    pub left_out: Vec<String>,
}

/// Reads an answer. `spends_token` says whether the request held a refresh token, since a bare 401 then means that token.
///
/// # Errors
/// Whatever is no token set, by class.
pub fn parse(
    raw: &RawResponse,
    style: &ResponseStyle,
    spends_token: bool,
) -> Result<TokenSet, TokenError> {
    parse_hiding(raw, style, spends_token, &Sent::default())
}

/// The same, without what tells of a secret that was sent.
///
/// # Errors
/// As [`parse`].
pub fn parse_hiding(
    raw: &RawResponse,
    style: &ResponseStyle,
    spends_token: bool,
    sent: &Sent,
) -> Result<TokenSet, TokenError> {
    let mut set = token_set(raw, style, spends_token, sent)?;
    set.hide_sent(sent);
    Ok(set)
}

fn token_set(
    raw: &RawResponse,
    style: &ResponseStyle,
    spends_token: bool,
    sent: &Sent,
) -> Result<TokenSet, TokenError> {
    if let Some(names) = &style.cookies {
        return session::parse(raw, names);
    }
    match raw.ending {
        Ending::Whole => {}
        Ending::BrokenOff => {
            let status = raw.status;
            let why = format!("the answer ({status}) broke off before its end");
            return Err(TokenError::OutcomeUnknown(why, Side::Server));
        }
        Ending::TooLarge => {
            return Err(TokenError::Invalid(format!(
                "the answer is larger than {} KiB, or its headers are than {} KiB",
                MAX_BODY_BYTES / 1024,
                MAX_HEADER_BYTES / 1024
            )));
        }
    }
    let body = readable(&raw.body);
    let answer = object(&body, style);
    let read = match raw.status {
        300.. if spends_token && brings_tokens(answer.as_ref(), style, sent) => Err(
            TokenError::Invalid(format!("the token endpoint answered {} with tokens", raw.status)),
        ),
        200..=299 if depth::is_too_deep(&body) => {
            Err(TokenError::Invalid("the answer is nested more than 16 levels deep".to_owned()))
        }
        200..=299 => success(answer.as_ref(), raw, style, spends_token, sent),
        429 => Err(TokenError::RateLimited { retry_after: None }),
        408 | 425 | 500..=599 => Err(TokenError::Server { status: raw.status, retry_after: None }),
        300..=399 => Err(TokenError::Invalid(format!(
            "the token endpoint answered with a redirect ({}), which is not followed",
            raw.status
        ))),
        _ => Err(refusal(answer.as_ref(), raw, style, spends_token)),
    };
    // Also where only the error code says that it passes.
    read.map_err(|error| error.after(raw.asks_to_wait()))
}

/// Whether an answer grants, whatever its status says: it names no error, and both tokens are there and new.
fn brings_tokens(answer: Option<&Value>, style: &ResponseStyle, sent: &Sent) -> bool {
    let Some(answer) = answer else { return false };
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let is_new = |text: &str| is_token(text) && !sent.has(text);
    let tokens = [&style.access_token, &style.refresh_token];
    tokens.into_iter().all(|pointer| text(pointer).is_some_and(is_new))
        && !code::is_named(answer, style)
}

/// A body as text: without the mark that some servers begin it with, and with what is no UTF-8 replaced. It may stand in a
/// member that nobody reads; a token can't have it.
pub(super) fn readable(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    Zeroizing::new(String::from_utf8_lossy(body).into_owned().into_bytes())
}

/// The members: a JSON object, or a form as some servers write it whatever they are asked for. A list is read as it is
/// where pointers lead into it, else as the one object in it.
fn object(body: &[u8], style: &ResponseStyle) -> Option<Value> {
    if depth::is_too_deep(body) {
        return None;
    }
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Some(value),
        Ok(value @ Value::Array(_)) if leads_into_a_list(style) => Some(value),
        Ok(Value::Array(list)) => {
            <[Value; 1]>::try_from(list).ok().map(|[value]| value).filter(Value::is_object)
        }
        Ok(_) => None,
        Err(_) => form(body, style),
    }
}

fn leads_into_a_list(style: &ResponseStyle) -> bool {
    [&style.access_token, &style.error].into_iter().any(|pointer| pointer.starts_with("/0/"))
}

/// A form is known by a member that an answer must have.
fn form(body: &[u8], style: &ResponseStyle) -> Option<Value> {
    let body = body.trim_ascii();
    let pairs = form_urlencoded::parse(body).map(|(name, value)| (name, value.into()));
    let members: serde_json::Map<String, Value> =
        pairs.map(|(name, value)| (name.into_owned(), value)).collect();
    let usual = ["access_token", "error"].into_iter();
    let given = [&style.access_token, &style.refresh_token, &style.error];
    let given = given.into_iter().filter_map(|pointer| pointer.strip_prefix('/'));
    let is_an_answer = usual.chain(given).any(|name| members.contains_key(name));
    (salvage::is_form(body) && is_an_answer).then_some(Value::Object(members))
}

/// The refresh token in an answer that is of no other use: broken off behind it, or with nothing else in it that can be
/// used. A token is taken only when it is there to its last character, and from an answer that calls itself a failure only
/// beside an access token and without an error, where neither was sent.
pub fn salvage_refresh_token(
    raw: &RawResponse,
    style: &ResponseStyle,
    sent: &Sent,
) -> Option<RefreshToken> {
    if let Some(names) = &style.cookies {
        return session::salvage(raw, names);
    }
    let is_whole = raw.ending == Ending::Whole;
    let body = readable(&raw.body);
    let grants = || is_whole && brings_tokens(object(&body, style).as_ref(), style, sent);
    if !((200..300).contains(&raw.status) || grants()) {
        return None;
    }
    let found = |place: &String| {
        let text = salvage::text_at(&body, place)
            .or_else(|| salvage::text_in_a_list(&body, place))
            .or_else(|| salvage::value_at(&body, place, is_whole));
        let text = Zeroizing::new(text?);
        refresh_token(Some(&Value::String(text.to_string()))).ok().flatten()
    };
    places_of_the_refresh_token(style).iter().find_map(found)
}

/// Where it is said to be, and beside the access token under its names.
fn places_of_the_refresh_token(style: &ResponseStyle) -> [String; 3] {
    let parent = style.access_token.rsplit_once('/').map_or("", |(parent, _)| parent);
    let beside = |name: &str| format!("{parent}/{name}");
    [style.refresh_token.clone(), beside("refresh_token"), beside("refreshToken")]
}

fn success(
    answer: Option<&Value>,
    raw: &RawResponse,
    style: &ResponseStyle,
    spends_token: bool,
    sent: &Sent,
) -> Result<TokenSet, TokenError> {
    let status = raw.status;
    let Some(answer) = answer else {
        let is_compressed = raw.body.starts_with(&GZIP);
        let why = if is_compressed {
            "compressed, which it was told not to"
        } else {
            "with no JSON object"
        };
        return Err(TokenError::Invalid(format!(
            "the token endpoint answered {status}, but {why}"
        )));
    };
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let token = text(&style.access_token).filter(|text| is_token(text));
    let Some(access_token) = token.map(AccessToken::new) else {
        return Err(code::in_a_success(answer, status, style, sent).unwrap_or_else(|| {
            TokenError::Invalid(format!(
                "the token endpoint answered {status} without a usable {}",
                name_of(&style.access_token)
            ))
        }));
    };
    let refresh_token = match refresh_token(answer.pointer(&style.refresh_token)) {
        Err(Unusable) if spends_token => {
            return Err(TokenError::Invalid(format!(
                "the token endpoint answered {status} with a {} that can't be used",
                name_of(&style.refresh_token)
            )));
        }
        found => found.unwrap_or_default(),
    };
    let refresh_token = refresh_token.or_else(|| beside(answer, style).filter(|_| spends_token));
    let kept = kept::read(answer, style);
    Ok(TokenSet {
        token_type: text(&style.token_type).map_or_else(|| "Bearer".to_owned(), scheme),
        lifetime: lifetime::lifetime(answer, style, access_token.expose()),
        scopes: answer.pointer(&style.scope).map(scopes).unwrap_or_default(),
        refresh_token_lifetime: lifetime::refresh_token_lifetime(answer, style),
        fields: kept.fields,
        left_out: kept.left_out,
        access_token,
        refresh_token,
    })
}

/// A pointer for people: without its first slash it is the member's name.
fn name_of(pointer: &str) -> &str {
    pointer.strip_prefix('/').unwrap_or(pointer)
}

/// Whether a character can't stand in a token, nor in a text for workloads: it controls something, or is in the place of what could not be read.
fn is_no_text(character: char) -> bool {
    character.is_control() || character == char::REPLACEMENT_CHARACTER
}

/// A refresh token that is there, but can't be one.
struct Unusable;

/// The new refresh token, if there is one. Wider than RFC 6749 (appendix A, `VSCHAR`): to leave one out would lose it.
fn refresh_token(value: Option<&Value>) -> Result<Option<RefreshToken>, Unusable> {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if !text.chars().any(is_no_text) => {
            Ok(Some(RefreshToken::new(text.as_str())))
        }
        Some(_) => Err(Unusable),
    }
}

/// A refresh token beside the access token, under its name as another convention writes it (`refreshToken`). Where one was
/// spent it is the new one, whatever the place is set to: to leave it out would lose it.
fn beside(answer: &Value, style: &ResponseStyle) -> Option<RefreshToken> {
    let (parent, _) = style.access_token.rsplit_once('/')?;
    let members = answer.pointer(parent)?.as_object()?;
    let named = members.iter().filter(|(name, _)| is_refresh_token(name));
    named.map(|(_, value)| refresh_token(Some(value))).find_map(|found| found.ok().flatten())
}

fn is_refresh_token(name: &str) -> bool {
    let plain =
        name.chars().filter(char::is_ascii_alphanumeric).map(|one| one.to_ascii_lowercase());
    plain.eq("refreshtoken".chars())
}

fn refusal(
    answer: Option<&Value>,
    raw: &RawResponse,
    style: &ResponseStyle,
    spends_token: bool,
) -> TokenError {
    let status = raw.status;
    let bare = || format!("the authorization server answered {status} without an OAuth error code");
    match answer.and_then(|answer| code::in_a_refusal(answer, status, style)) {
        Some(error) => error,
        // A limit, as some servers and gateways say it: what asks to wait is not refused for good.
        None if raw.asks_to_wait().is_some() => TokenError::Server { status, retry_after: None },
        None if matches!(status, 401 | 403) && spends_token => TokenError::InvalidGrant(bare()),
        // Of the path, the method or the size: who asks has no part in it.
        None if matches!(status, 404..=406 | 410 | 411 | 413..=415 | 421 | 431) => {
            TokenError::InvalidRequest(bare())
        }
        None => TokenError::Refused { unauthorized: matches!(status, 401 | 403), why: bare() },
    }
}

/// One text with separators, or a list of texts.
fn scopes(value: &Value) -> Vec<String> {
    let texts: Vec<&str> = match value {
        Value::String(text) => text.split([' ', ',']).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let plain =
        |scope: &&str| scope.len() <= 256 && scope.bytes().all(|byte| byte.is_ascii_graphic());
    let given = texts.into_iter().filter(|scope| !scope.is_empty());
    given.filter(plain).take(100).map(ToOwned::to_owned).collect()
}

/// What some servers say of a token's owner, or of what it is, in the place of its type.
const NO_SCHEMES: [&str; 4] = ["bot", "user", "BearerToken", "access_token"];

/// The scheme for the `Authorization` header: `Bearer` in its usual spelling, another only if it is a plain word.
fn scheme(token_type: &str) -> String {
    let plain = (1..=32).contains(&token_type.len())
        && token_type
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let is = |other: &str| token_type.eq_ignore_ascii_case(other);
    let is_bearer = is("bearer") || NO_SCHEMES.into_iter().any(is);
    if plain && !is_bearer { token_type.to_owned() } else { "Bearer".to_owned() }
}

#[cfg(test)]
mod tests;
