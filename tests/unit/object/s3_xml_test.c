/* Tests of reading the answers of S3 servers. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "object/s3_xml_private.h"

/* The reader -------------------------------------------------------------------------------------
 */

/* Writes tokens as "<name", "text" and ">"; the last one is the status. */
static const char *tokens_of(const char *text)
{
    static char out[512];
    struct mni_s3_xml xml;
    struct mni_s3_xml_token token;
    mn_status st;
    size_t n = 0;

    mni_s3_xml_init(&xml, mn_str(text));
    while ((st = mni_s3_xml_next(&xml, &token)) == MN_OK) {
        static const char *const marks[] = {"<", "'", ">"};
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s ", marks[token.type],
                              (int)token.text.n_bytes, (const char *)token.text.data);
    }
    (void)snprintf(out + n, sizeof out - n, "%s", st == MN_END ? "end" : "corrupt");
    return out;
}

static void elements_text_and_attributes_are_read(void)
{
    CHECK_STR_EQ(tokens_of("<a/>"), "<a >a end");
    CHECK_STR_EQ(tokens_of("<?xml version='1.0'?>\n<a>x<b >y</b ></a>\n"), "<a 'x <b 'y >b >a end");
    CHECK_STR_EQ(tokens_of("<n:a xmlns:n=\"x>y\" z = ''><n:b/></n:a>"), "<a <b >b >a end");
    CHECK_STR_EQ(tokens_of("\xef\xbb\xbf<!-- < --><a><!----></a><!-- x -->"), "<a >a end");
}

static void what_is_not_well_formed_is_refused(void)
{
    static const char *const wrong[] = {
        "",
        " ",
        "x",
        "<",
        "<a",
        "<a>",
        "<a></b>",
        "<a></a",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a b></a>",
        "<a b=c></a>",
        "<a b='c></a>",
        "<a b='<'></a>",
        "<a b='c'd='e'></a>",
        "<a / >",
        "<>",
        "<a:></a:>",
        "< a></a>",
        "<a><!-- </a>",
        "<!DOCTYPE a><a/>",
        "<a><![CDATA[x]]></a>",
        "<a><?php ?></a>",
        "<?xml <a/>",
    };
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK_STR_HAS(tokens_of(wrong[i]), "corrupt");
}

static void depth_is_bounded(void)
{
    char text[8 * (MNI_S3_XML_DEPTH_MAX + 1) + 1] = "";

    for (int n = MNI_S3_XML_DEPTH_MAX; n <= MNI_S3_XML_DEPTH_MAX + 1; n++) {
        struct mni_s3_xml xml;
        struct mni_s3_xml_token token;
        mn_status st;
        text[0] = '\0';
        for (int i = 0; i < n; i++)
            strcat(text, "<a>");
        for (int i = 0; i < n; i++)
            strcat(text, "</a>");
        mni_s3_xml_init(&xml, mn_str(text));
        while ((st = mni_s3_xml_next(&xml, &token)) == MN_OK)
            continue;
        CHECK_STATUS(st, n == MNI_S3_XML_DEPTH_MAX ? MN_END : MN_ERR_CORRUPT);
    }
}

static mn_status text_of(const char *xml_text, struct mni_buf *out)
{
    struct mni_s3_xml xml;
    struct mni_s3_xml_token token;

    mni_s3_xml_init(&xml, mn_str(xml_text));
    CHECK_OK(mni_s3_xml_next(&xml, &token));
    return mni_s3_xml_read_text(&xml, out);
}

static void entities_are_decoded(void)
{
    static const char expected[] = "<>&\"'AB\xce\xbb\xe2\x82\xac\xf0\x9f\x98\x80&amp;";
    static const char *const wrong[] = {
        "<a>&</a>",      "<a>&;</a>",          "<a>&nbsp;</a>",   "<a>&#;</a>",
        "<a>&#x;</a>",   "<a>&#0;</a>",        "<a>&#xd800;</a>", "<a>&#x110000;</a>",
        "<a>&#12a;</a>", "<a>&#99999999;</a>", "<a>&lt</a>",      "<a>&l t;</a>",
        "<a>\xff</a>",   "<a>x<b/></a>",
    };
    struct mni_buf out = {0};

    CHECK_OK(text_of("<a>&lt;&gt;&amp;&quot;&apos;&#65;<!-- -->&#x42;&#955;&#x20aC;&#x1F600;"
                     "&amp;amp;</a>",
                     &out));
    CHECK_EQ(out.n_bytes, sizeof expected - 1);
    CHECK_MEM_EQ(out.data, expected, sizeof expected - 1);
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK_STATUS(text_of(wrong[i], &out), MN_ERR_CORRUPT);
    mni_buf_done(&out);
}

/* Answers ----------------------------------------------------------------------------------------
 */

static void an_error_is_read(void)
{
    struct mni_s3_fault fault;
    char text[2000];

    CHECK(mni_s3_read_fault(mn_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n"
                                   "  <Code>PermanentRedirect</Code><Message>use &quot;x&quot;"
                                   "</Message><Region>eu-west-1</Region><a><Code>no</Code></a>"
                                   "\n</Error>\n"),
                            NULL, &fault));
    CHECK_STR_EQ(fault.code, "PermanentRedirect");
    CHECK_STR_EQ(fault.message, "use \"x\"");
    CHECK_STR_EQ(fault.region, "eu-west-1");
    (void)snprintf(text, sizeof text,
                   "<Error><Code>%0200d</Code><Message>%01000d</Message></Error>", 0, 0);
    CHECK(mni_s3_read_fault(mn_str(text), NULL, &fault));
    CHECK_EQ(strlen(fault.code), MNI_S3_CODE_BYTES - 1);
    CHECK_EQ(strlen(fault.message), MNI_S3_MESSAGE_BYTES - 1);
    CHECK_STR_EQ(fault.region, "");
    CHECK(!mni_s3_read_fault(mn_str("<html><Code>x</Code></html>"), NULL, &fault));
    CHECK(!mni_s3_read_fault(mn_str("<Error><Message>x</Message></Error>"), NULL, &fault));
    CHECK(!mni_s3_read_fault(mn_str("<Error><Code>x</Code>"), NULL, &fault));
    CHECK(!mni_s3_read_fault(mn_str("<Error><Code>x</Code></Error>x"), NULL, &fault));
    CHECK(!mni_s3_read_fault(mn_str(""), NULL, &fault));
}

#define ITEM(key, rest)                                                                            \
    "<Contents><Key>" key "</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>"            \
    "<ETag>&quot;e-1&quot;</ETag><Size>7</Size>" rest "</Contents>"
#define WHOLE "<IsTruncated>false</IsTruncated>"
#define LIST(inside) "<ListBucketResult xmlns=\"http://x/\">" inside "</ListBucketResult>"

static void a_listing_is_read(void)
{
    struct mni_s3_listing listing;

    CHECK_OK(mni_s3_read_objects(
        mn_str(LIST("<IsTruncated>true</IsTruncated>" ITEM("a%2Bb", "")
                        ITEM("c&amp;d", "<Owner><ID>1</ID></Owner>") "<CommonPrefixes/>")),
        &listing));
    CHECK_EQ(listing.n_items, 2);
    CHECK(listing.is_truncated);
    CHECK_EQ(listing.items[0].key_bytes, 5);
    CHECK_MEM_EQ(listing.keys.data + listing.items[0].key, "a%2Bb", 5);
    CHECK_MEM_EQ(listing.keys.data + listing.items[1].key, "c&d", 3);
    CHECK_EQ(listing.items[1].key_bytes, 3);
    CHECK_EQ(listing.items[1].n_bytes, 7);
    CHECK_EQ(listing.items[1].modified_us, INT64_C(1255369830000000));
    CHECK_STR_EQ(listing.items[1].etag, "e-1");
    mni_s3_listing_done(&listing);
}

static void keys_of_a_listing_are_decoded_when_it_says_so(void)
{
    struct mni_s3_listing listing;

    CHECK_OK(mni_s3_read_objects(
        mn_str(LIST(WHOLE ITEM("%01++%2B/%25%c3%A9", "") "<EncodingType>url</EncodingType>")),
        &listing));
    CHECK_EQ(listing.items[0].key_bytes, 8);
    CHECK_MEM_EQ(listing.keys.data + listing.items[0].key, "\x01  +/%\xc3\xa9", 8);
    mni_s3_listing_done(&listing);
    static const char *const wrong[] = {
        LIST(WHOLE ITEM("%", "") "<EncodingType>url</EncodingType>"),
        LIST(WHOLE ITEM("%4", "") "<EncodingType>url</EncodingType>"),
        LIST(WHOLE ITEM("%4g", "") "<EncodingType>url</EncodingType>"),
    };
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK_STATUS(mni_s3_read_objects(mn_str(wrong[i]), &listing), MN_ERR_CORRUPT);
}

static void a_listing_that_lacks_something_is_refused(void)
{
    struct mni_s3_listing listing;
    static const char *const wrong[] = {
        "<Error><Code>InternalError</Code></Error>",
        "<ListPartsResult/>",
        LIST("<IsTruncated>maybe</IsTruncated>"),
        LIST(WHOLE "<Contents><Key>a</Key><Size>1</Size></Contents>"),
        LIST(WHOLE "<Contents><ETag>a</ETag><Size>1</Size></Contents>"),
        LIST(WHOLE "<Contents><Key>a</Key><ETag>\"</ETag></Contents>"),
        LIST(WHOLE "<Contents><Key>a</Key><ETag>a b</ETag></Contents>"),
        LIST(WHOLE "<Contents><Key>a</Key><ETag>a</ETag><Size>-1</Size></Contents>"),
        LIST(WHOLE
             "<Contents><Key>a</Key><ETag>a</ETag><Size>18446744073709551616</Size></Contents>"),
        LIST(WHOLE
             "<Contents><Key>a</Key><ETag>a</ETag><LastModified>now</LastModified></Contents>"),
        LIST(WHOLE) "<x/>",
        LIST(""),
    };
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK_STATUS(mni_s3_read_objects(mn_str(wrong[i]), &listing), MN_ERR_CORRUPT);
}

static void uploads_are_read(void)
{
    struct mni_s3_listing listing;

    CHECK_OK(mni_s3_read_uploads(
        mn_str("<ListMultipartUploadsResult><EncodingType>url</EncodingType><Upload><Key>a%20b"
               "</Key><UploadId>id+1</UploadId><Initiated>1970-01-01T00:00:02Z</Initiated>"
               "</Upload><IsTruncated>true</IsTruncated><NextKeyMarker>a%20b</NextKeyMarker>"
               "<NextUploadIdMarker>id+1</NextUploadIdMarker></ListMultipartUploadsResult>"),
        &listing));
    CHECK_EQ(listing.n_items, 1);
    CHECK_MEM_EQ(listing.keys.data + listing.items[0].key, "a b", 3);
    CHECK_STR_EQ((const char *)listing.keys.data + listing.items[0].upload_id, "id+1");
    CHECK_EQ(listing.items[0].modified_us, 2000000);
    CHECK(listing.is_truncated);
    CHECK_EQ(listing.key_marker.n_bytes, 3);
    CHECK_STR_EQ(listing.upload_marker, "id+1");
    mni_s3_listing_done(&listing);
    CHECK_STATUS(
        mni_s3_read_uploads(mn_str("<ListMultipartUploadsResult>" WHOLE "<Upload><Key>a</Key>"
                                   "</Upload></ListMultipartUploadsResult>"),
                            &listing),
        MN_ERR_CORRUPT);
}

static mn_status note_part(void *context, uint32_t number, uint64_t n_bytes, const char *etag)
{
    uint64_t *sum = context;

    *sum = *sum * 100 + number * 10 + n_bytes;
    CHECK_STR_EQ(etag, "e");
    return number == 7 ? MN_ERR_NOMEM : MN_OK;
}

#define PART(number)                                                                               \
    "<Part><PartNumber>" number "</PartNumber><ETag>\"e\"</ETag><Size>3</Size></Part>"
#define PARTS(inside) "<ListPartsResult>" inside "</ListPartsResult>"

static void parts_are_read(void)
{
    uint64_t sum = 0;
    uint32_t marker = 99;

    CHECK_OK(mni_s3_read_parts(mn_str(PARTS("<NextPartNumberMarker>2</NextPartNumberMarker>" PART(
                                   "1") PART("2") "<IsTruncated>true</IsTruncated>")),
                               note_part, &sum, &marker));
    CHECK_EQ(sum, 1323);
    CHECK_EQ(marker, 2);
    CHECK_OK(mni_s3_read_parts(mn_str(PARTS("<NextPartNumberMarker/>")), note_part, &sum, &marker));
    CHECK_EQ(marker, 0);
    static const char *const wrong[] = {
        PARTS(PART("0")),
        PARTS(PART("10001")),
        PARTS("<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>"),
        PARTS("<Part><PartNumber>1</PartNumber><Size>1</Size></Part>"),
        PARTS("<IsTruncated>true</IsTruncated>"),
    };
    for (size_t i = 0; i < CHECK_COUNT(wrong); i++)
        CHECK_STATUS(mni_s3_read_parts(mn_str(wrong[i]), note_part, &sum, &marker), MN_ERR_CORRUPT);
    CHECK_STATUS(mni_s3_read_parts(mn_str(PARTS(PART("7"))), note_part, &sum, &marker),
                 MN_ERR_NOMEM);
}

static void an_error_is_no_completed_upload(void)
{
    char id[MNI_S3_UPLOAD_ID_BYTES];
    char etag[MN_OBJECT_ETAG_BYTES];

    CHECK_OK(
        mni_s3_read_completed(mn_str("  \n\n <?xml version='1.0'?><CompleteMultipartUploadResult>"
                                     "<ETag>&quot;abc-2&quot;</ETag>"
                                     "</CompleteMultipartUploadResult>"),
                              etag));
    CHECK_STR_EQ(etag, "abc-2");
    CHECK_STATUS(mni_s3_read_completed(mn_str("<Error><Code>InternalError</Code></Error>"), etag),
                 MN_ERR_CORRUPT);
    CHECK_OK(mni_s3_read_completed(mn_str("<CompleteMultipartUploadResult><ETag></ETag>"
                                          "</CompleteMultipartUploadResult>"),
                                   etag));
    CHECK_STR_EQ(etag, "");
    CHECK_STATUS(mni_s3_read_completed(mn_str("<CompleteMultipartUploadResult><ETag>a b</ETag>"
                                              "</CompleteMultipartUploadResult>"),
                                       etag),
                 MN_ERR_CORRUPT);
    CHECK_OK(
        mni_s3_read_initiated(mn_str("<InitiateMultipartUploadResult><UploadId>a.b~c</UploadId>"
                                     "</InitiateMultipartUploadResult>"),
                              id));
    CHECK_STR_EQ(id, "a.b~c");
    CHECK_STATUS(mni_s3_read_initiated(mn_str("<InitiateMultipartUploadResult/>"), id),
                 MN_ERR_CORRUPT);
}

static void memory_short_anywhere_is_reported(void)
{
    static const char text[] = LIST(WHOLE ITEM("a%2B", "") ITEM("b", "") ITEM("c", "")
                                        ITEM("d", "") "<EncodingType>url</EncodingType>");
    mn_status st = MN_ERR_NOMEM;
    uint64_t n = 0;

    while (st != MN_OK) {
        struct mni_s3_listing listing = {0};
        CHECK(n < 100);
        mni_mem_fail_at(++n);
        st = mni_s3_read_objects(mn_str(text), &listing);
        CHECK(st == MN_OK || st == MN_ERR_NOMEM);
        CHECK((st == MN_OK) == !mni_mem_fail_was_hit());
        mni_mem_fail_at(0);
        mni_s3_listing_done(&listing);
        CHECK_EQ(mni_mem_live_blocks(), 0);
    }
    CHECK(n > 4);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(elements_text_and_attributes_are_read),
        CHECK_TEST(what_is_not_well_formed_is_refused),
        CHECK_TEST(depth_is_bounded),
        CHECK_TEST(entities_are_decoded),
        CHECK_TEST(an_error_is_read),
        CHECK_TEST(a_listing_is_read),
        CHECK_TEST(keys_of_a_listing_are_decoded_when_it_says_so),
        CHECK_TEST(a_listing_that_lacks_something_is_refused),
        CHECK_TEST(uploads_are_read),
        CHECK_TEST(parts_are_read),
        CHECK_TEST(an_error_is_no_completed_upload),
        CHECK_TEST(memory_short_anywhere_is_reported),
    };
    return check_run("object.s3_xml", tests, CHECK_COUNT(tests), argc, argv);
}
