/* Radix tree of file pages. */
#include "guest-kernel/fs/page_tree.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/page.h"

/* Pages below one slot of a node at this level (level 0 is a page itself). */
static u64 span(u32 level)
{
    return 1ull << (PAGE_TREE_BITS * level);
}

static u64 slot_of(u64 index, u32 level)
{
    return index >> (PAGE_TREE_BITS * (level - 1)) & (PAGE_TREE_FANOUT - 1);
}

void *page_tree_find(const struct page_tree *tree, u64 index)
{
    void *node = tree->root;

    if (index >= span(tree->levels))
        return NULL;
    for (u32 level = tree->levels; level > 0 && node; level--)
        node = ((void **)node)[slot_of(index, level)];
    return node;
}

/* Put nodes on top until index fits. */
static bool grow(struct page_tree *tree, u64 index)
{
    while (index >= span(tree->levels)) {
        if (tree->root) {
            void **node = page_alloc();
            if (!node)
                return false;
            node[0] = tree->root;
            tree->root = node;
        }
        tree->levels++;
    }
    return true;
}

void *page_tree_make(struct page_tree *tree, u64 index)
{
    void **slot = &tree->root;

    if (index >= PAGE_TREE_LIMIT || !grow(tree, index))
        return NULL;
    for (u32 level = tree->levels;; level--) {
        if (!*slot) {
            *slot = page_alloc();
            if (!*slot)
                return NULL; /* nodes made on the way stay; they are empty and harmless */
            tree->count += level == 0;
        }
        if (level == 0)
            return *slot;
        slot = (void **)*slot + slot_of(index, level);
    }
}

enum leaf_action { LEAF_FREE, LEAF_CLEAR };

struct visit {
    struct page_tree *tree;
    u64 first, end;
    enum leaf_action action;
};

static void visit_leaf(const struct visit *v, void **slot)
{
    if (v->action == LEAF_CLEAR) {
        memset(*slot, 0, PAGE_SIZE);
        return;
    }
    page_free(*slot);
    *slot = NULL;
    v->tree->count--;
}

/* base: the index of the first page below *slot. A node wholly inside a freed range goes as well.
 */
static void visit(const struct visit *v, void **slot, u32 level, u64 base)
{
    u64 last = base + span(level) - 1;

    if (!*slot || last < v->first || base >= v->end)
        return;
    if (level == 0) {
        visit_leaf(v, slot);
        return;
    }
    for (u64 i = 0; i < PAGE_TREE_FANOUT; i++)
        visit(v, (void **)*slot + i, level - 1, base + i * span(level - 1));
    if (v->action == LEAF_FREE && base >= v->first && last < v->end) {
        page_free(*slot);
        *slot = NULL;
    }
}

void page_tree_free(struct page_tree *tree, u64 first, u64 end)
{
    const struct visit v = {tree, first, end, LEAF_FREE};

    visit(&v, &tree->root, tree->levels, 0);
    if (!tree->root)
        tree->levels = 0;
}

void page_tree_clear(struct page_tree *tree, u64 first, u64 end)
{
    const struct visit v = {tree, first, end, LEAF_CLEAR};

    visit(&v, &tree->root, tree->levels, 0);
}

static u64 next_below(void *const *slot, u32 level, u64 base, u64 from)
{
    if (!*slot || base + span(level) - 1 < from)
        return UINT64_MAX;
    if (level == 0)
        return base;
    for (u64 i = 0; i < PAGE_TREE_FANOUT; i++) {
        u64 found =
            next_below((void *const *)*slot + i, level - 1, base + i * span(level - 1), from);
        if (found != UINT64_MAX)
            return found;
    }
    return UINT64_MAX;
}

u64 page_tree_next(const struct page_tree *tree, u64 from)
{
    return next_below(&tree->root, tree->levels, 0, from);
}
