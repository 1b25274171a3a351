// Exceptions across frames and threads of unwinding, iostreams, containers, sort.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

struct Guard {
    explicit Guard(int n) : number(n)
    {
    }
    ~Guard()
    {
        std::cout << "unwound " << number << '\n';
    }
    int number;
};

void dive(int depth)
{
    Guard guard(depth);

    if (depth == 0)
        throw std::runtime_error("bottom");
    dive(depth - 1);
}

void rethrow_and_nest()
{
    try {
        try {
            dive(3);
        } catch (const std::exception &) {
            std::throw_with_nested(std::logic_error("outer"));
        }
    } catch (const std::logic_error &e) {
        std::cout << e.what() << '\n';
        try {
            std::rethrow_if_nested(e);
        } catch (const std::runtime_error &inner) {
            std::cout << "nested " << inner.what() << '\n';
        }
    }
}

void standard_exceptions()
{
    try {
        std::vector<int>().at(5);
    } catch (const std::out_of_range &) {
        std::cout << "out_of_range\n";
    }
    try {
        std::stoi("not a number");
    } catch (const std::invalid_argument &) {
        std::cout << "invalid_argument\n";
    }
}

void containers()
{
    std::vector<int> numbers;
    std::map<std::string, int> words;
    std::istringstream text("the seed flies and the seed lands and grows");
    std::string word;

    for (int i = 0; i < 1000; i++)
        numbers.push_back(i * 7919 % 1000);
    std::sort(numbers.begin(), numbers.end());
    std::cout << numbers.front() << ' ' << numbers[500] << ' ' << numbers.back() << '\n';
    while (text >> word)
        words[word]++;
    for (const auto &[name, count] : words)
        std::cout << name << ' ' << count << '\n';
}

} // namespace

int main()
{
    int caught = 0;

    rethrow_and_nest();
    standard_exceptions();
    containers();
    for (int i = 0; i < 2000; i++) {
        try {
            throw std::make_unique<int>(i);
        } catch (const std::unique_ptr<int> &p) {
            caught += *p == i;
        }
    }
    std::cout << "caught " << caught << std::endl;
    return std::cout.good() ? 0 : 1;
}
