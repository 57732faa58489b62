"""Splits SQL files by PostgreSQL's own parser, which pglast brings (`pip install pglast`), and holds statements against that.

Standard input is JSON: for each file its path, its text and the statements that another splitter found in it. Standard output
is JSON: how many were held against the parser and which differ.

    echo '[{"path": "x", "text": "select 1; select 2", "statements": ["select 1", "select 2"]}]' | python3 split_by_parser.py
"""

import json
import sys

import pglast
from pglast.parser import ParseError, scan


def words(text):
    """The words of a text, each with where it ends: comments and white space are none. None where no word can be read."""
    try:
        return [
            (text[token.start : token.end + 1], token.end + 1)
            for token in scan(text)
            if token.name not in ("SQL_COMMENT", "C_COMMENT")
        ]
    except ParseError:
        return None


def tokens(text):
    """The words of a statement, without the semicolon at its end."""
    found = [word for word, _ in words(text) or [(text, 0)]]
    while found and found[-1] == ";":
        found.pop()
    return found


def by_parser(text):
    """The statements of a file that is sound throughout; None where a syntax error is meant to be."""
    try:
        return [tokens(statement) for statement in pglast.split(text)]
    except ParseError:
        return None


def alone(statement):
    """Whether the parser takes it for one statement: None where it takes it for none at all."""
    try:
        return len(pglast.parse_sql(statement)) == 1
    except ParseError:
        return None


def more_than_one(statement):
    """Whether something behind a semicolon of a broken statement is one by itself."""
    return any(alone(statement[end:]) for word, end in words(statement) or [] if word == ";")


def main():
    whole = one_by_one = unsound = 0
    differences = []
    for file in json.load(sys.stdin):
        path, found = file["path"], file["statements"]
        expected = by_parser(file["text"])
        if expected is not None:
            whole += 1
            ours = [tokens(statement) for statement in found]
            for number, (left, right) in enumerate(zip(ours, expected), 1):
                if left != right:
                    differences.append(f"{path}, statement {number}: {' '.join(left)!r}, and the parser: {' '.join(right)!r}")
                    break
            else:
                if len(ours) != len(expected):
                    differences.append(f"{path}: {len(ours)} statements, and the parser: {len(expected)}")
        else:
            # One that is broken breaks the file: each has to be one statement, or broken by itself.
            one_by_one += 1
            verdicts = [alone(statement) for statement in found]
            unsound += verdicts.count(None)
            for number, (statement, verdict) in enumerate(zip(found, verdicts), 1):
                if verdict is False or verdict is None and more_than_one(statement):
                    differences.append(f"{path}, statement {number} is not one: {statement!r}")
                # What is broken, and sound with what follows, was cut in the middle.
                for end in range(number + 1, min(number + 8, len(found)) + 1) if verdict is None else ():
                    if alone(";".join(found[number - 1 : end])):
                        differences.append(f"{path}, statements {number} to {end} are one: {statement!r}")
                        break
    version = ".".join(map(str, pglast.get_postgresql_version()))
    json.dump(
        {"version": version, "whole": whole, "one_by_one": one_by_one, "unsound": unsound, "differences": differences},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
