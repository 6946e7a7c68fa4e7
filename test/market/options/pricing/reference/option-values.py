"""Regenerates option-values.csv: the expected values of test/market/options/pricing-reference.test.ts and implied-volatility-reference.test.ts.

    python3 test/market/options/reference/option-values.py > test/market/options/reference/option-values.csv

Needs mpmath (pip install mpmath); made with Python 3.11 and mpmath 1.3.0, in three minutes. It uses no option pricing formula and no normal distribution function:

- The price is the discounted payoff integrated over the log-normal density of the underlying at expiry, by Gauss-Legendre quadrature (12 panels of 40 nodes) in
  arithmetic of 50 digits. The range ends where the integrand has lost 32 digits.
- The Greeks are integrals of the same payoff times the derivative of the density by the parameter (the likelihood ratio method: M. Broadie and P. Glasserman,
  Estimating Security Price Derivatives Using Simulation, Management Science 42, 1996), since the payoff itself does not depend on spot, time or volatility.
- Before it writes, it compares a sample of the cases with five-point differences of the price integral and with twice the panels, to 1e-20.

Columns: spot, strike, days to expiry (years = days / 365), rate, dividend yield, volatility, right (C or P), price, delta, gamma, theta (dollars a calendar day), vega
(dollars a volatility point). The price has the 17 digits that make its double, or 0 where it would be below the smallest normal double.
"""

from itertools import product
from mpmath import mp, mpf, exp, log, pi, sqrt, legendre, nstr

mp.dps = 50
NODES = 40
PANELS = 12

MONEYNESS = ["0.6", "0.7", "0.8", "0.9", "0.95", "1", "1.05", "1.1", "1.25", "1.4", "1.6"]
DAYS = [1, 7, 30, 91, 365, 730]
VOLATILITY = ["0.1", "0.2", "0.35", "0.6", "1.2"]
# Spot, rate, dividend yield. The second has strikes of more than two decimals and a forward below the spot.
MARKETS = [("100", "0.05", "0"), ("437.5", "0.02", "0.04")]


def gauss_legendre(count):
    """Nodes and weights on [-1, 1]: Newton's method on the Legendre polynomial, from Tricomi's guess."""
    rule = []
    for k in range(1, count + 1):
        x = mp.cos(pi * (k - mpf("0.25")) / (count + mpf("0.5")))
        for _ in range(8):
            slope = count * (x * legendre(count, x) - legendre(count - 1, x)) / (x * x - 1)
            x -= legendre(count, x) / slope
        slope = count * (x * legendre(count, x) - legendre(count - 1, x)) / (x * x - 1)
        rule.append((x, 2 / ((1 - x * x) * slope * slope)))
    return rule


RULE = gauss_legendre(NODES)


def integrals(spot, strike, years, rate, dividend_yield, volatility, is_put, panels=PANELS):
    """The price and its derivatives by spot (first and second), years and volatility, per unit of each."""
    deviation = volatility * sqrt(years)
    drift = rate - dividend_yield - volatility**2 / 2
    kink = (log(strike / spot) - drift * years) / deviation
    # The payoff is positive above the kink for a call and below it for a put; the tail that matters ends 150 / 2 natural logarithms down.
    side = -1 if is_put else 1
    start = max(side * kink, mpf(-16))
    end = sqrt(start**2 + 150) + deviation
    width = (end - start) / panels
    sums = [mpf(0)] * 5
    for panel in range(panels):
        for node, weight in RULE:
            z = side * (start + width * (panel + (1 + node) / 2))
            payoff = side * (spot * exp(drift * years + deviation * z) - strike)
            mass = weight * payoff * exp(-z * z / 2)
            scores = (
                1,
                z / (spot * deviation),
                (z * z - 1 - deviation * z) / (spot * deviation) ** 2,
                z * drift / deviation + (z * z - 1) / (2 * years),
                (z * z - 1) / volatility - z * sqrt(years),
            )
            for i, score in enumerate(scores):
                sums[i] += mass * score
    factor = exp(-rate * years) * width / 2 / sqrt(2 * pi)
    price, delta, gamma, by_years, vega = (factor * total for total in sums)
    return price, delta, gamma, by_years - rate * price, vega


def check(arguments):
    """The likelihood ratios against differences of the price, and the quadrature against a finer one."""
    values = integrals(*arguments)
    price = lambda index, shift: integrals(*(a + shift if i == index else a for i, a in enumerate(arguments[:6])), arguments[6])[0]

    def first(index, h):
        return (8 * (price(index, h) - price(index, -h)) - (price(index, 2 * h) - price(index, -2 * h))) / (12 * h)

    def second(index, h):
        return (16 * (price(index, h) + price(index, -h)) - price(index, 2 * h) - price(index, -2 * h) - 30 * price(index, 0)) / (12 * h * h)

    h = mpf("1e-7")
    differences = (values[0], first(0, h), second(0, h), first(2, h * arguments[2]), first(5, h))
    for other in (differences, integrals(*arguments, panels=2 * PANELS)):
        for a, b in zip(values, other):
            assert abs(a - b) < mpf("1e-20"), (arguments, nstr(a, 30), nstr(b, 30))


def main():
    print("spot,strike,days,rate,dividend_yield,volatility,right,price,delta,gamma,theta,vega")
    for number, (market, days, moneyness, volatility, right) in enumerate(product(MARKETS, DAYS, MONEYNESS, VOLATILITY, "CP")):
        spot, rate, dividend_yield = market
        # Strikes have three decimals, like those of contracts.
        strike = nstr(mp.nint(mpf(spot) * mpf(moneyness) * 1000) / 1000, 12)
        arguments = (mpf(spot), mpf(strike), mpf(days) / 365, mpf(rate), mpf(dividend_yield), mpf(volatility), right == "P")
        if number % 53 == 0:
            check(arguments)
        price, delta, gamma, by_years, vega = integrals(*arguments)
        tiny = mpf(2) ** -1022
        price_text = nstr(price, 17) if price > tiny else "0"
        greeks = (delta, gamma, -by_years / 365, vega / 100)
        greek_texts = [nstr(value, 10) if abs(value) > mpf("1e-12") else "0" for value in greeks]
        print(",".join([spot, strike, str(days), rate, dividend_yield, volatility, right, price_text, *greek_texts]))


main()
