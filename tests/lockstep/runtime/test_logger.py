import logging
import re

import pytest

from lockstep.runtime import logger


@pytest.fixture(autouse=True)
def _put_back():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_line_names_who_speaks(capsys):
    logger.start()
    logging.getLogger("model_building").info("%d rows", 3)
    logging.getLogger("model_building").debug("not shown")
    out, err = capsys.readouterr()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO model_building: 3 rows\n", err)
    assert out == ""


def test_starting_twice_prints_once(capsys):
    logger.start()
    logger.start("warning")
    logging.getLogger("x").warning("once")
    logging.getLogger("x").info("too low")
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("level", "lines"), [("INFO", 1), ("DEBUG", 2), ("WARNING", 1)])
def test_libraries_that_talk_of_their_settings_do_so_for_debugging_alone(capsys, level, lines):
    logger.start(level)
    logging.getLogger("botocore.credentials").info("found in the environment")
    logging.getLogger("botocore.endpoint").warning("the store is slow")
    assert capsys.readouterr().err.count("\n") == lines


def test_a_value_cannot_forge_a_line(capsys):
    logger.start()
    logging.getLogger("x").info("value %s", "a\r\n00:00:00 ERROR y: forged \x1b[31mred\u202e é")
    err = capsys.readouterr().err
    assert err.endswith("INFO x: value a\\r\\n00:00:00 ERROR y: forged \\x1b[31mred\\u202e é\n")
    assert err.count("\n") == 1
