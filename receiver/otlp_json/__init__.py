"""OTLP/JSON to OTLP protobuf, and back.

OTLP/JSON is the JSON mapping of Protocol Buffers but for trace and span ids, which are hexadecimal there (OTLP
specification 1.10, "JSON Protobuf Encoding").
"""

from receiver.otlp_json.convert import Converted, Converter
from receiver.otlp_json.export import from_protobuf
from receiver.otlp_json.select import ConverterChoice, ConverterMissing, select_converter

__all__ = ["Converted", "Converter", "ConverterChoice", "ConverterMissing", "from_protobuf", "select_converter"]
