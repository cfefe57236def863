/*
 * peer_faiss.cpp - faiss's IndexFlat, for bench_search; see search_peer.h.
 *
 * Owns:    the index, in memory.
 * Threads: what OpenMP starts, as many as asked for.
 * Fails:   by ending the program with a message.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include <omp.h>

#include <faiss/IndexFlat.h>

static std::vector<float> read_floats(const char *path)
{
    std::vector<float> floats;
    FILE *file = std::fopen(path, "rb");

    if (file == nullptr || std::fseek(file, 0, SEEK_END) != 0) {
        std::fprintf(stderr, "peer_faiss: cannot read %s\n", path);
        std::exit(1);
    }
    floats.resize(static_cast<size_t>(std::ftell(file)) / sizeof(float));
    std::rewind(file);
    if (std::fread(floats.data(), sizeof(float), floats.size(), file) != floats.size()) {
        std::fprintf(stderr, "peer_faiss: cannot read %s\n", path);
        std::exit(1);
    }
    std::fclose(file);
    return floats;
}

static void serve(const faiss::IndexFlatIP &index, const std::vector<float> &queries, size_t k)
{
    const size_t n_dims = static_cast<size_t>(index.d);
    size_t first, count, each;

    while (std::scanf("%zu %zu %zu", &first, &count, &each) == 3) {
        std::vector<float> scores(count * k);
        std::vector<faiss::Index::idx_t> rows(count * k);
        auto start = std::chrono::steady_clock::now();
        for (size_t i = 0; i < count; i += each) {
            size_t n = count - i < each ? count - i : each;
            index.search(static_cast<faiss::Index::idx_t>(n), queries.data() + (first + i) * n_dims,
                         static_cast<faiss::Index::idx_t>(k), scores.data() + i * k,
                         rows.data() + i * k);
        }
        std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
        std::printf("%.9f\n", elapsed.count());
        for (size_t i = 0; i < rows.size(); i++)
            std::printf("%lld%c", static_cast<long long>(rows[i]), i % k == k - 1 ? '\n' : ' ');
        std::fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        std::fprintf(stderr, "peer_faiss is started by bench_search\n");
        return 2;
    }
    try {
        int n_dims = std::atoi(argv[3]);
        omp_set_num_threads(std::atoi(argv[5]));
        faiss::IndexFlatIP index(n_dims);
        {
            std::vector<float> vectors = read_floats(argv[1]);
            index.add(
                static_cast<faiss::Index::idx_t>(vectors.size() / static_cast<size_t>(n_dims)),
                vectors.data());
        }
        std::vector<float> queries = read_floats(argv[2]);
        std::printf("ready\n");
        std::fflush(stdout);
        serve(index, queries, static_cast<size_t>(std::atoi(argv[4])));
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "peer_faiss: %s\n", failure.what());
        return 1;
    }
    return 0;
}
