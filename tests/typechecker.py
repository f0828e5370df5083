"""The run-time checker behind jaxtyping's shapes in tests: an int may stand where a float is asked."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
