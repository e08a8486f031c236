use super::*;

#[test]
fn the_first_signal_asks_and_the_second_ends() {
    for (first, second, code) in [
        (SignalKind::terminate(), SignalKind::interrupt(), 130),
        (SignalKind::interrupt(), SignalKind::terminate(), 143),
    ] {
        let token = CancellationToken::new();
        let stage = Stage::Running(token.clone());
        let stage = stage.next(first).expect("goes on");
        assert!(token.is_cancelled());
        assert_eq!(stage.next(second).expect_err("ends"), code);
    }
}

#[tokio::test]
async fn a_holder_of_the_token_can_end_the_process_in_order() {
    let shutdown = Shutdown::new().expect("signal handlers");
    assert!(!shutdown.token().is_cancelled());
    shutdown.token().cancel();
    assert!(shutdown.token().is_cancelled());
}
