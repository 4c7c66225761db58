"""Conversion of machines to rows and SQL, and back."""

from math import inf

import pytest

from workers.heartbeats.machine import Machine
from workers.heartbeats.rows import from_row, sql_values, to_row
from workers.heartbeats.schema import machines


def test_given_a_machine_then_its_row_has_every_column_and_restores_the_machine() -> None:
    machine = Machine("ulm", "press-07")
    machine.totals[0] = (2, 3.5, 1.0, 2.5)
    row = to_row(machine)

    assert len(row) == len(machines.columns)
    assert to_row(from_row(row)) == row
    assert from_row([None if value in (inf, -inf) else value for value in row]).totals[1] == (
        0,
        0.0,
        inf,
        -inf,
    )


def test_given_rows_then_their_sql_is_that_of_mariadb() -> None:
    assert sql_values([("ulm", "a", 1.5, None), ("ulm", "b", -inf, 3)]) == '("ulm","a",1.5,null),("ulm","b",null,3)'


@pytest.mark.parametrize("name", ['x"),("y', "back\\slash", "],[", '"'])
def test_given_a_string_that_could_be_read_as_sql_then_it_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="a name or a status contains quotes or brackets"):
        sql_values([("ulm", name, 1.5)])
