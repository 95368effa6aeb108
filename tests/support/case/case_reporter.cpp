// Catch2's own TAP reporter counts assertions. Here one TAP line is one test case, so that `meson test` and tools/test
// count cases, and a skipped case has its reason.

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_case_info.hpp>
#include <catch2/interfaces/catch_interfaces_reporter.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#include <catch2/reporters/catch_reporter_streaming_base.hpp>

namespace {

// A '#' starts a directive, and a line break would end the line.
std::string one_line(std::string_view text) {
  std::string line{text};
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '#'; }, ' ');
  return line;
}

class case_reporter final : public Catch::StreamingReporterBase {
 public:
  using StreamingReporterBase::StreamingReporterBase;

  static std::string getDescription() { return "TAP with one line for each test case"; }

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    StreamingReporterBase::testCaseStarting(info);
    skip_reason_.clear();
    // Names the case that a program was in when it died or was ended because it took too long (tools/lib/outcome.py).
    m_stream << "# begins: " << one_line(info.name) << std::endl;
  }

  void assertionEnded(const Catch::AssertionStats& stats) override {
    const Catch::AssertionResult& result = stats.assertionResult;
    if (result.getResultType() == Catch::ResultWas::ExplicitSkip) {
      skip_reason_ = one_line(std::string{result.getMessage()});
    } else if (!result.isOk()) {
      explain(stats);
    }
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    const Catch::Counts& cases = stats.totals.testCases;
    m_stream << (cases.failed > 0 ? "not ok " : "ok ") << ++number_ << " - " << one_line(stats.testInfo->name);
    if (cases.skipped > 0) m_stream << " # SKIP " << skip_reason_;
    m_stream << std::endl;  // flushed, so that after a crash the log shows the last case
    StreamingReporterBase::testCaseEnded(stats);
  }

  void testRunEnded(const Catch::TestRunStats& stats) override {
    m_stream << "1.." << number_ << std::endl;
    StreamingReporterBase::testRunEnded(stats);
  }

 private:
  void explain(const Catch::AssertionStats& stats) {
    const Catch::AssertionResult& result = stats.assertionResult;
    const Catch::SourceLineInfo where = result.getSourceInfo();
    m_stream << "# " << where.file << ':' << where.line << ": " << currentTestCaseInfo->name << '\n';
    for (const Catch::SectionInfo& section : sections_below_the_case()) comment("  in " + section.name);
    if (result.hasExpression()) comment("  " + result.getExpressionInMacro());
    if (result.hasExpandedExpression()) comment("  with " + result.getExpandedExpression());
    for (const Catch::MessageInfo& info : stats.infoMessages) comment("  " + info.message);
    // An expression's result repeats its last message; a failure or an exception has no other text.
    if (stats.infoMessages.empty() && result.hasMessage()) comment("  " + std::string{result.getMessage()});
    m_stream.flush();
  }

  // The sections below the outermost one, which is the test case itself.
  std::vector<Catch::SectionInfo> sections_below_the_case() const {
    if (m_sectionStack.empty()) return {};
    return {m_sectionStack.begin() + 1, m_sectionStack.end()};
  }

  void comment(std::string_view text) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      m_stream << "# " << text.substr(begin, end - begin) << '\n';
      begin = end + 1;
    }
  }

  int number_ = 0;
  std::string skip_reason_;
};

}  // namespace

CATCH_REGISTER_REPORTER("cases", case_reporter)
