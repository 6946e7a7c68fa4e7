# Regenerates indicators.json: the expected indicator values of test/market/indicators-reference.test.ts, computed by R's TTR package,
# an implementation of its own. Debian: apt-get install r-base-core r-cran-ttr. Made with R 4.2.2 and TTR 0.24.3.
#
#   Rscript test/market/reference/indicators.R <folder of a QuantConnect Lean data folder> > test/market/reference/indicators.json
#   npx biome format --write test/market/reference/indicators.json
#
# Input: equity/usa/daily/*.zip (raw, prices x 10,000) and factor_files/*.csv, whole files from their first bar on. A factor row
# (date, price factor, split factor, reference price) applies to the days up to and including its date.
#
# Plain TTR calls wherever bars are far from the first one. TTR starts an EMA with the mean of its first n values and true range on the second
# bar, other implementations with the first value and the first bar; after 800 bars the difference is below 1e-24. The dates of "early"
# are close to the start, so there the start is
# fixed by R's own recursive filter.
suppressMessages(library(TTR))

folder <- commandArgs(trailingOnly = TRUE)[1]
symbols <- c("aapl", "aig", "bac", "eem", "goog", "ibm", "iwm", "qqq", "spy", "wm")

read_adjusted <- function(symbol) {
  zip <- file.path(folder, "equity/usa/daily", paste0(symbol, ".zip"))
  bars <- read.csv(unz(zip, paste0(symbol, ".csv")), header = FALSE, col.names = c("time", "open", "high", "low", "close", "volume"))
  date <- as.Date(substr(bars$time, 1, 8), "%Y%m%d")
  factors <- read.csv(file.path(folder, "equity/usa/factor_files", paste0(symbol, ".csv")), header = FALSE)
  until <- as.Date(as.character(factors[[1]]), "%Y%m%d")
  factor <- (factors[[2]] * factors[[3]])[sapply(date, function(day) which(until >= day)[1])]
  usable <- factor > 0
  data.frame(date, open = bars$open * factor / 1e4, high = bars$high * factor / 1e4, low = bars$low * factor / 1e4, close = bars$close * factor / 1e4)[usable, ]
}

plain <- function(bars) {
  hlc <- bars[, c("high", "low", "close")]
  # percent = FALSE: the difference of the two averages and not their ratio.
  macd <- MACD(bars$close, nFast = 12, nSlow = 26, nSig = 9, maType = EMA, percent = FALSE)
  bands <- BBands(bars$close, n = 20, sd = 2)
  data.frame(
    sma20 = SMA(bars$close, 20), sma50 = SMA(bars$close, 50), sma200 = SMA(bars$close, 200),
    ema12 = EMA(bars$close, 12), ema20 = EMA(bars$close, 20), ema26 = EMA(bars$close, 26),
    rsi14 = RSI(bars$close, n = 14, maType = EMA, wilder = TRUE),
    macd = macd[, "macd"], macdSignal = macd[, "signal"], macdHistogram = macd[, "macd"] - macd[, "signal"],
    bollingerUpper = bands[, "up"], bollingerMiddle = bands[, "mavg"], bollingerLower = bands[, "dn"],
    atr14 = ATR(hlc, n = 14, maType = EMA, wilder = TRUE)[, "atr"],
    volatility20 = c(NA, runSD(diff(log(bars$close)), n = 20, sample = TRUE) * sqrt(252)))
}

started_at_first <- function(bars, values) {
  ema <- function(x, n) {
    share <- 2 / (n + 1)
    as.numeric(stats::filter(share * x, 1 - share, method = "recursive", init = x[1]))
  }
  bars_count <- nrow(bars)
  values$ema12 <- ema(bars$close, 12)
  values$ema20 <- ema(bars$close, 20)
  values$ema26 <- ema(bars$close, 26)
  values$macd <- values$ema12 - values$ema26
  values$macdSignal <- c(rep(NA, 25), ema(values$macd[26:bars_count], 9))
  values$macdHistogram <- values$macd - values$macdSignal
  true_range <- c(bars$high[1] - bars$low[1], ATR(bars[, c("high", "low", "close")])[-1, "tr"])
  values$atr14 <- EMA(true_range, n = 14, wilder = TRUE)
  values
}

rows <- function(bars, values, indices) {
  entries <- sapply(indices, function(i) {
    figures <- paste(sprintf('"%s":%.17g', names(values), unlist(values[i, ])), collapse = ",")
    sprintf('      "%s": {%s}', bars$date[i], figures)
  })
  paste(entries, collapse = ",\n")
}

entries <- sapply(symbols, function(symbol) {
  bars <- read_adjusted(symbol)
  rownames(bars) <- NULL
  count <- nrow(bars)
  values <- plain(bars)
  late <- unique(round(seq(800, count, length.out = 6)))
  sprintf('  "%s": {\n    "early": {\n%s\n    },\n    "late": {\n%s\n    }\n  }', toupper(symbol),
    rows(bars, started_at_first(bars, values), c(200, 250)), rows(bars, values, late))
})
cat("{\n", paste(entries, collapse = ",\n"), "\n}\n", sep = "")
