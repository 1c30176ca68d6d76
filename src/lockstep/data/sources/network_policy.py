"""Which network addresses a source may lead to: public ones, unless params.yaml allows private ones."""

import ipaddress
import socket

from lockstep.errors import DataError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def resolve(host: str, port: int, allow_private: bool) -> str:
    """Look a host up once and return the address to connect to, after every one of its addresses was checked.

    Whoever connects to the returned address cannot be sent elsewhere by a second answer of the name server.

    Raises DataError: the host does not exist, or one of its addresses is not accepted.
    """
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise DataError(f"host {host!r} not found: {error}", "check data_ingestion.source and the network") from None
    addresses = [str(entry[4][0]) for entry in infos]
    for address in addresses:
        if not accepted(ipaddress.ip_address(address.partition("%")[0]), allow_private):
            raise DataError(
                f"{host} leads to {address}, which is not a public address",
                "a server in your own network needs data_ingestion.allow_private: true",
            )
    return addresses[0]


def accepted(address: Address, allow_private: bool) -> bool:
    """Tell whether an address may be connected to; link-local ones, where clouds keep credentials, never."""
    inner = _embedded(address)
    if inner is not None:
        return accepted(inner, allow_private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return allow_private or address.is_global


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
