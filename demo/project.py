"""The files of the demo's project, a small shop, and what each person did to them."""

from __future__ import annotations

from collections.abc import Mapping

Files = Mapping[str, str]
"""Paths and their content."""

MAKEFILE = """\
test:
\t@python3 -B -m unittest discover --quiet --start-directory tests --top-level-directory .
"""

PRICING = '''\
"""Prices in cents."""

VAT_PERCENT = 20


def with_vat(net):
    """The price that a customer pays."""
    return net + net * VAT_PERCENT // 100


def discounted(net, percent):
    """The price after a discount."""
    return net - net * percent // 100
'''

SHIPPING = '''\
"""What it costs to send a parcel, in cents."""

FREE_FROM = 5000
FLAT = 490


def shipping(total):
    """Nothing from FREE_FROM on."""
    return 0 if total >= FREE_FROM else FLAT
'''

INVOICE = '''\
"""The text of an invoice."""

from shop.pricing import with_vat


def line(name, net):
    """One line of it."""
    return f"{name}: {with_vat(net) / 100:.2f}"
'''

TESTS = '''\
"""What the shop promises."""

import unittest

from shop.invoice import line
from shop.pricing import discounted, with_vat
from shop.shipping import shipping


class Shop(unittest.TestCase):
    def test_prices(self):
        self.assertEqual(with_vat(1000), 1200)
        self.assertEqual(discounted(1000, 10), 900)

    def test_shipping(self):
        self.assertEqual(shipping(100), 490)
        self.assertEqual(shipping(9000), 0)

    def test_invoice(self):
        self.assertEqual(line("Tea", 500), "Tea: 6.00")
'''

START: Files = {
    ".gitignore": ".env\n__pycache__/\n",
    "Makefile": MAKEFILE,
    "README.md": "# Shop\n\nSells tea.\n",
    "shop/__init__.py": "",
    "shop/invoice.py": INVOICE,
    "shop/pricing.py": PRICING,
    "shop/shipping.py": SHIPPING,
    "tests/__init__.py": "",
    "tests/test_shop.py": TESTS,
}

GIFTS: Files = {
    "shop/gifts.py": '"""Gift notes."""\n\nLONGEST = 200\n\n\ndef note(text):\n    return text[:LONGEST]\n',
}

LOWER_LIMIT: Files = {"shop/shipping.py": SHIPPING.replace("5000", "4000")}
RAISED_LIMIT: Files = {"shop/shipping.py": SHIPPING.replace("5000", "6000")}

REPORT: Files = {
    "shop/report.py": '"""VAT of a month."""\n\nfrom shop.pricing import with_vat\n\n\n'
    "def vat(nets):\n    return sum(with_vat(net) - net for net in nets)\n",
    "tests/test_report.py": '"""The VAT report."""\n\nimport unittest\n\nfrom shop.report import vat\n\n\n'
    "class Report(unittest.TestCase):\n    def test_vat(self):\n"
    "        self.assertEqual(vat([1003, 1003]), 400)\n",
}

ROUNDED: Files = {
    "shop/pricing.py": PRICING.replace(
        "net * VAT_PERCENT // 100\n\n\ndef d", "(net * VAT_PERCENT + 50) // 100\n\n\ndef d"
    )
}

EXPORT: Files = {"shop/export.py": '"""Orders as CSV."""\n\n\ndef row(*cells):\n    return ",".join(cells)\n'}
EXPORT_QUOTED: Files = {
    "shop/export.py": '"""Orders as CSV."""\n\n\ndef row(*cells):\n'
    '    return ",".join(f\'"{cell}"\' for cell in cells)\n',
}

CURRENCY: Files = {"shop/currency.py": '"""Amounts as people write them."""\n\nSIGN = "€"\n'}
CURRENCY_SHOWN: Files = {
    "shop/currency.py": '"""Amounts as people write them."""\n\nSIGN = "€"\n\n\n'
    'def shown(cents):\n    return f"{cents / 100:.2f} {SIGN}"\n',
}

STOCK: Files = {
    "shop/stock.py": '"""What is left."""\n\n\ndef left(stored, sold):\n    return stored - sold\n'
}
