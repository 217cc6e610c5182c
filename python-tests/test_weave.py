"""mutants/weave.py: every mutant is where it belongs, whatever the source looks like."""

from weave import Mutant, Place, weave

SOURCE = """\
/// Opens with a { in a comment.
fn first(text: &str) -> bool {
    let brace = '{'; // }
    text == "}\\"}" && brace != '\\'' /* } */
}

impl Thing {
    fn second<'a>(&'a self, of: [u8; { 1 + 1 }]) -> &'a u8 {
        r#"}"}"#;
        &of[0]
    }

    const fn third() -> u8 { 1 }
    fn fourth() -> impl Iterator<Item = u8> { [1].into_iter() }
    fn fifth() {}
}
const SIZE: usize = 1 << 4;
"""


def _mutant(number: int, within: str | None, old: str, new: str) -> Mutant:
    def place(offset: int) -> Place:
        before = SOURCE[:offset]
        return Place(before.count("\n") + 1, offset - before.rfind("\n"))

    begins = SOURCE.index(within) if within else 0
    at = SOURCE.index(old, begins)
    function = (place(begins), place(len(SOURCE))) if within else None
    return Mutant(number, f"{old} to {new}", "thing.rs", place(at), place(at + len(old)), new, function)


def test_every_function_comes_in_as_many_versions_as_it_has_mutants() -> None:
    mutants = [
        _mutant(1, "fn first", "&&", "||"),
        _mutant(2, "fn first", "==", "!="),
        _mutant(3, "fn second", "0", "1"),
        _mutant(4, "const fn third", "1 ", "0 "),
        _mutant(5, "fn fourth", "[1].into_iter()", "::std::iter::empty()"),
        _mutant(6, "fn fifth", "{}", "panic!()"),
        _mutant(7, None, "<<", ">>"),
    ]
    woven = weave(SOURCE, mutants, first_function=10)
    assert sorted(woven.apart) == [4, 5, 7]
    assert woven.functions == {1: 10, 2: 10, 3: 11, 6: 12}
    lines = woven.text.split("\n")
    versions = {n: "\n".join(lines[at.start - 1 : at.stop - 1]).rstrip() for n, at in woven.lines.items()}
    body = "\n    let brace = '{'; // }\n    text == \"}\\\"}\" && brace != '\\'' /* } */\n}"
    assert versions == {
        1: "1 => {" + body.replace("&&", "||"),
        2: "2 => {" + body.replace("==", "!="),
        3: '3 => {\n        r#"}"}"#;\n        &of[1]\n    }',
        6: "6 => {panic!()}",
    }
    assert "_ => {" + body + "\n} }\n\nimpl Thing {" in woven.text
    assert "const fn third() -> u8 { 1 }" in woven.text
