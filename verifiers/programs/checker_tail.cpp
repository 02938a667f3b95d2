#undef main
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
template <class F> static int call_checker(F f, int n, char **a) {
    if constexpr (std::is_invocable_v<F, int, char **>) return f(n, a); else return f();
}
int main() {
    const char *folder = std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp";
    std::string paths[3];
    const char *names[3] = {"/input", "/output", "/answer"};
    for (int i = 0; i < 3; ++i) {
        long size = 0;
        if (std::scanf("%ld", &size) != 1 || std::getchar() != '\n') return 3;
        std::string text(size, '\0');
        if (size && std::fread(&text[0], 1, size, stdin) != (size_t)size) return 3;
        paths[i] = std::string(folder) + names[i];
        FILE *file = std::fopen(paths[i].c_str(), "wb");
        if (!file) return 3;
        std::fwrite(text.data(), 1, text.size(), file);
        std::fclose(file);
    }
    static char program[] = "checker";
    char *arguments[5] = {program, &paths[0][0], &paths[1][0], &paths[2][0], nullptr};
    return call_checker(checker_main_of_the_problem, 4, arguments);
}
