// What captions see of the regions, in one pass: scores, softmax, contexts; see ragged.py.
//
// Shapes: B images, R regions, D feature size, A attention size; an image's captions together.
// A vector of numbers is as long as the processor's; a few captions at a time stay in registers.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX2__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
constexpr int LANES = BYTES / 4;
constexpr int FEW = 3;   // captions at a time: those of a beam of five that see different things
constexpr int ROWS = 8;  // regions at a time

using Size = std::int64_t;
using Half = std::uint16_t;  // bfloat16: the upper half of a float
typedef float Floats __attribute__((vector_size(BYTES), aligned(4)));
typedef std::uint32_t Words __attribute__((vector_size(BYTES), aligned(4)));
typedef Half Halves __attribute__((vector_size(BYTES / 2), aligned(2)));

Floats load(const float* from) { return *reinterpret_cast<const Floats*>(from); }

Floats load(const Half* from) {
    const Halves halves = *reinterpret_cast<const Halves*>(from);
    const Words words = __builtin_convertvector(halves, Words) << 16;
    Floats floats;
    std::memcpy(&floats, &words, sizeof floats);
    return floats;
}

float widened(float number) { return number; }

float widened(Half number) {
    const std::uint32_t word = static_cast<std::uint32_t>(number) << 16;
    float wide;
    std::memcpy(&wide, &word, sizeof wide);
    return wide;
}

float sum(const Floats& numbers) {
    float total = 0;
    for (int lane = 0; lane < LANES; lane++) total += numbers[lane];
    return total;
}

// sum_a v_a / (1 + known_ra asked_na): (N, R)
template <int N>
void score(const float* known, const float* asked, const float* v, Size R, Size A, float* scores) {
    for (Size r = 0; r < R; r++, known += A) {
        Floats sums[N] = {};
        Size a = 0;
        for (; a + LANES <= A; a += LANES) {
            const Floats key = load(known + a), weight = load(v + a);
            for (int n = 0; n < N; n++) sums[n] += weight / (1.0f + key * load(asked + n * A + a));
        }
        for (int n = 0; n < N; n++) {
            float total = sum(sums[n]);
            for (Size b = a; b < A; b++) total += v[b] / (1.0f + known[b] * asked[n * A + b]);
            scores[n * R + r] = total;
        }
    }
}

void softmax(float* scores, Size R) {
    const float most = *std::max_element(scores, scores + R);
    float total = 0;
    for (Size r = 0; r < R; r++) total += scores[r] = std::exp(scores[r] - most);
    for (Size r = 0; r < R; r++) scores[r] /= total;
}

// sum_r alpha_nr grid_rd: (N, D); a few regions at a time, each read from its first number to its last
template <int N, typename Number>
void weigh(const float* alpha, const Number* grid, Size R, Size D, float* contexts) {
    std::fill(contexts, contexts + N * D, 0.0f);
    for (Size r = 0; r < R; r += ROWS) {
        const Number* regions[ROWS];
        float weights[N][ROWS];
        for (int i = 0; i < ROWS; i++) {
            const bool there = r + i < R;
            regions[i] = grid + (there ? r + i : r) * D;
            for (int n = 0; n < N; n++) weights[n][i] = there ? alpha[n * R + r + i] : 0.0f;
        }
        Size d = 0;
        for (; d + LANES <= D; d += LANES) {
            Floats seen[ROWS];
            for (int i = 0; i < ROWS; i++) seen[i] = load(regions[i] + d);
            for (int n = 0; n < N; n++) {
                Floats& context = *reinterpret_cast<Floats*>(contexts + n * D + d);
                Floats total = context;
                for (int i = 0; i < ROWS; i++) total += weights[n][i] * seen[i];
                context = total;
            }
        }
        for (; d < D; d++)
            for (int n = 0; n < N; n++)
                for (int i = 0; i < ROWS; i++)
                    contexts[n * D + d] += weights[n][i] * widened(regions[i][d]);
    }
}

template <typename Number>
struct Attention {
    const float *known, *asked, *v;
    const Number* grid;
    Size R, A, D;
    float *alpha, *contexts;

    // the image's next captions, at most N
    template <int N>
    Size look(Size left) {
        if constexpr (N > 1)
            if (left < N) return look<N - 1>(left);
        score<N>(known, asked, v, R, A, alpha);
        for (int n = 0; n < N; n++) softmax(alpha + n * R, R);
        weigh<N>(alpha, grid, R, D, contexts);
        asked += N * A, alpha += N * R, contexts += N * D;
        return N;
    }

    void all(const Size* counts, Size images) {
        for (Size image = 0; image < images; image++, known += R * A, grid += R * D)
            for (Size left = counts[image]; left > 0;) left -= look<FEW>(left);
    }
};

}  // namespace

extern "C" void attend_float32(const float* known, const float* asked, const float* v,
                               const float* grid, const Size* counts, Size B, Size R, Size A,
                               Size D, float* alpha, float* contexts) {
    Attention<float>{known, asked, v, grid, R, A, D, alpha, contexts}.all(counts, B);
}

extern "C" void attend_bfloat16(const float* known, const float* asked, const float* v,
                                const Half* grid, const Size* counts, Size B, Size R, Size A,
                                Size D, float* alpha, float* contexts) {
    Attention<Half>{known, asked, v, grid, R, A, D, alpha, contexts}.all(counts, B);
}
