"""JSON, XML and YAML files of a data set, read without trusting them."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from gradbox.datasets.layout import read_bytes, read_text
from gradbox.errors import UsageError


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UsageError: the file is missing, not JSON, or more than can be read of it.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path} is not JSON ({error}); replace the file") from None
    except ValueError:
        raise UsageError(f"{path} holds a number of thousands of digits; mend it") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply for a data set; mend it") from None


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file; entities neither grow without bound nor fetch anything.

    Raises:
        UsageError: the file is missing or not XML.
    """
    content = read_bytes(path)
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # also of its encoding
        raise UsageError(f"{path} is not an XML annotation ({error}); replace the file") from None


def read_yaml(path: Path) -> Any:
    """What a YAML file holds: texts, numbers, lists and mappings only.

    Raises:
        UsageError: the file is missing or not such YAML.
    """
    import yaml

    try:
        return yaml.safe_load(read_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise UsageError(f"{path} is not YAML ({said}); replace the file") from None
