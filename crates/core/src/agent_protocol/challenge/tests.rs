use proptest::prelude::*;

use super::*;

const HEX: &str = "000102030405060708090a0b0c0d0e0f";

fn token() -> Token {
    Token::new(b"sixteen bytes or more").expect("a token")
}

fn challenge() -> Challenge {
    Challenge {
        nonce: Nonce::from_bytes(std::array::from_fn(|i| u8::try_from(i).expect("small"))),
        time: 1_795_000_000,
    }
}

#[test]
fn a_token_has_at_least_sixteen_bytes_besides_the_line_break_of_an_editor() {
    for (bytes, outcome) in [
        (&b""[..], Err(TokenError::Empty)),
        (b"\r\n\n", Err(TokenError::Empty)),
        (b"123456789012345\n", Err(TokenError::Short { bytes: 15 })),
        (b"1234567890123456", Ok(16)),
        (b"1234567890123456\r\n", Ok(16)),
        (b"\n234567890123456\n", Ok(16)),
        (&[7; 4096], Ok(4096)),
        (&[7; 4097], Err(TokenError::Long)),
    ] {
        let found = Token::new(bytes).map(|token| token.0.len());
        assert_eq!(found, outcome, "{} bytes", bytes.len());
    }
}

#[test]
fn debug_shows_nothing_of_token_and_key() {
    assert_eq!(format!("{:?}", token()), "Token");
    assert_eq!(format!("{:?}", challenge().answer_key(&token())), "AnswerKey");
}

#[test]
fn a_question_is_written_in_one_way() {
    let written = challenge().path_and_query();
    assert_eq!(written, format!("/v1/volumes?nonce={HEX}&time=1795000000"));
    let (_, query) = written.split_once('?').expect("a query");
    assert_eq!(Challenge::parse_query(query), Ok(challenge()));
}

#[test]
fn any_other_query_is_refused() {
    for query in [
        String::new(),
        format!("time=1&nonce={HEX}"),
        format!("nonce={HEX}"),
        format!("nonce={HEX}&time="),
        format!("nonce={HEX}&time=+1"),
        format!("nonce={HEX}&time=01"),
        format!("nonce={HEX}&time=-0"),
        format!("nonce={HEX}&time=1 "),
        format!("nonce={HEX}&time=1&time=2"),
        format!("nonce={HEX}&time=1&path=../../etc/shadow"),
        format!("nonce={HEX}&time=9223372036854775808"),
        format!("nonce={}&time=1", HEX.to_uppercase()),
        format!("nonce={HEX}0&time=1"),
        format!("nonce={}&time=1", &HEX[1..]),
        format!("nonce=%30{}&time=1", &HEX[1..]),
        format!("?nonce={HEX}&time=1"),
    ] {
        assert_eq!(Challenge::parse_query(&query), Err(ChallengeError), "{query}");
    }
}

/// Made with Python's `hmac`, so that another implementation can be checked by the same values.
#[test]
fn the_values_are_those_of_another_implementation() {
    let (token, challenge) = (token(), challenge());
    assert_eq!(challenge.authorization(&token), format!("Windlass {AUTHORIZATION}"));
    let key = challenge.answer_key(&token);
    assert_eq!(hex(&key.0), KEY);
    assert_eq!(key.file(b"hello").to_string(), FILE_OF_HELLO);
    assert_eq!(key.seal(b"{}"), SEAL_OF_BRACES);
}

const AUTHORIZATION: &str = "1ea6b89d5eff05acf95cccc109ac7db6d71efe9c67ee1740da31222bfe1a6807";
const KEY: &str = "d4e620b8cacf6dffa80f450fdb47ed8073356747aeadce913e8c736f3686c887";
const FILE_OF_HELLO: &str = "3d65091b50a1b5fa9d070607e15d7a02";
const SEAL_OF_BRACES: &str = "82c0b43aa38088b4ee3a8021fff251c41695bf25366f8440f948bc48c3ed70f1";

#[test]
fn only_the_very_header_is_accepted() {
    let (token, challenge) = (token(), challenge());
    let right = challenge.authorization(&token);
    assert!(challenge.verify(&token, &right));
    let mac = right.strip_prefix("Windlass ").expect("the scheme");
    for wrong in [
        String::new(),
        "Windlass ".to_owned(),
        mac.to_owned(),
        format!("windlass {mac}"),
        format!("Windlass  {mac}"),
        format!("Windlass {mac} "),
        format!("Windlass {}", mac.to_uppercase()),
        format!("Windlass {}", &mac[2..]),
        format!("Windlass {mac}00"),
        format!("Windlass {}", "0".repeat(64)),
        format!("Bearer {mac}"),
    ] {
        assert!(!challenge.verify(&token, &wrong), "{wrong}");
    }
    let other = Token::new(b"sixteen bytes or less").expect("a token");
    assert!(!challenge.verify(&other, &right));
    let later = Challenge {
        time: challenge.time + 1,
        ..challenge
    };
    assert!(!later.verify(&token, &right));
    let again = Challenge {
        nonce: Nonce::from_bytes([9; 16]),
        ..challenge
    };
    assert!(!again.verify(&token, &right));
}

#[test]
fn digests_and_seals_hold_for_one_question_and_one_purpose() {
    let (token, challenge) = (token(), challenge());
    let key = challenge.answer_key(&token);
    let other = Challenge {
        nonce: Nonce::from_bytes([9; 16]),
        ..challenge
    }
    .answer_key(&token);
    assert_eq!(key.file(b"a"), key.file(b"a"));
    assert_ne!(key.file(b"a"), key.file(b"b"));
    assert_ne!(key.file(b"a"), other.file(b"a"));
    let seal = key.seal(b"body");
    assert!(key.verify_seal(b"body", &seal));
    assert!(!key.verify_seal(b"bodY", &seal));
    assert!(!other.verify_seal(b"body", &seal));
    assert!(!key.verify_seal(b"body", &seal[1..]));
    assert!(!key.verify_seal(b"body", ""));
    assert!(!key.verify_seal(b"body", &"0".repeat(64)));
    // A file can be made to hold what is sealed.
    assert!(!seal.starts_with(&key.file(b"body").to_string()));
}

#[test]
fn an_answer_is_read_as_it_was_written_and_unknown_fields_are_ignored() {
    let key = challenge().answer_key(&token());
    let answer = Answer {
        format: FORMAT,
        volumes: vec![VolumeAnswer {
            path: "/etc/app".to_owned(),
            state: VolumeState::Refused,
            message: Some("bad".to_owned()),
            files: [("a".to_owned(), key.file(b"1"))].into(),
            unreadable: vec!["b".to_owned()],
        }],
    };
    let text = serde_json::to_string(&answer).expect("JSON");
    assert_eq!(serde_json::from_str::<Answer>(&text).expect("an answer"), answer);
    let newer = r#"{"format":1,"more":1,"volumes":[{"path":"/a","state":"Applied","since":3}]}"#;
    let read: Answer = serde_json::from_str(newer).expect("an answer");
    assert_eq!(read.volumes[0].state, VolumeState::Applied);
    for bad in [
        r#"{"format":1,"volumes":[{"path":"/a","state":"Fine"}]}"#,
        r#"{"format":1,"volumes":[{"path":"/a","state":"Applied","files":{"a":"00"}}]}"#,
    ] {
        serde_json::from_str::<Answer>(bad).expect_err(bad);
    }
}

#[test]
fn the_words_of_states_are_those_of_the_answer() {
    for state in VolumeState::ALL {
        assert_eq!(
            serde_json::to_string(&state).expect("JSON"),
            format!("\"{}\"", state.as_str())
        );
    }
}

proptest! {
    #[test]
    fn what_is_asked_is_read_and_verified(nonce: [u8; 16], time: i64) {
        let asked = Challenge { nonce: Nonce::from_bytes(nonce), time };
        let written = asked.path_and_query();
        let read = Challenge::parse_query(written.split_once('?').expect("a query").1);
        prop_assert_eq!(read, Ok(asked));
        prop_assert!(asked.verify(&token(), &asked.authorization(&token())));
    }

    #[test]
    fn no_query_and_no_header_makes_it_panic(query in ".{0,100}", header in ".{0,100}") {
        if let Ok(read) = Challenge::parse_query(&query) {
            prop_assert_eq!(read.path_and_query(), format!("{PATH}?{query}"));
        }
        prop_assert!(!challenge().verify(&token(), &header));
        let with_scheme = format!("Windlass {header}");
        prop_assert!(!challenge().verify(&token(), &with_scheme));
    }
}
