"""CRC-32C: with the library that Mneme uses where it is there, else slowly."""
import ctypes

_POLYNOMIAL = 0x82F63B78


def _table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def crc32c_slowly(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _load():
    try:
        function = ctypes.CDLL("libisal.so.2").crc32_iscsi
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_uint)
    function.restype = ctypes.c_uint
    return function


_FAST = _load()


def crc32c(data):
    if _FAST is None or len(data) >= 1 << 31:
        return crc32c_slowly(data)
    return _FAST(bytes(data), len(data), 0xFFFFFFFF) ^ 0xFFFFFFFF
