//! Misuse, with the message that the compiler shows.

#[test]
fn misuse_is_an_error_that_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
