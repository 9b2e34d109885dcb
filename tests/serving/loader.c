/* Loads a SavedModel as TF Serving does, through TensorFlow's C API and without Python, and answers requests.

   loader FOLDER INPUT... -- OUTPUT... [++ INPUT... -- OUTPUT...]...
     INPUT   OPERATION:INDEX=TYPE:DIMENSIONS:FILE  (raw values in FILE; TYPE a TF_DataType; DIMENSIONS like 1,28,28,1
             or "scalar")
     OUTPUT  OPERATION:INDEX  (printed as one line of numbers each)
   A request that is refused prints one line instead: error CODE MESSAGE */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/c_api.h>

#define MOST 16

static TF_Status *status;

static TF_Output find(TF_Graph *graph, char *name) {
  char *colon = strrchr(name, ':');
  *colon = 0;
  TF_Output output = {TF_GraphOperationByName(graph, name), atoi(colon + 1)};
  if (!output.oper) fprintf(stderr, "no operation %s\n", name), exit(100);
  return output;
}

static TF_Tensor *read_tensor(char *text) {
  TF_DataType type = atoi(strtok(text, ":"));
  char *dimensions = strtok(NULL, ":"), *path = strtok(NULL, ":");
  int64_t sides[8], count = 1;
  int rank = 0;
  if (strcmp(dimensions, "scalar"))
    for (char *side = strtok(dimensions, ","); side; side = strtok(NULL, ",")) count *= sides[rank++] = atoll(side);
  TF_Tensor *tensor = TF_AllocateTensor(type, sides, rank, count * TF_DataTypeSize(type));
  FILE *file = fopen(path, "rb");
  if (!file || fread(TF_TensorData(tensor), TF_DataTypeSize(type), count, file) != (size_t)count)
    fprintf(stderr, "cannot read %s\n", path), exit(101);
  fclose(file);
  return tensor;
}

static void print_tensor(TF_Tensor *tensor) {
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++)
    if (TF_TensorType(tensor) == TF_FLOAT) printf("%.9g ", ((float *)TF_TensorData(tensor))[i]);
    else printf("%d ", ((int *)TF_TensorData(tensor))[i]);
  printf("\n");
}

static void print_error(void) {
  printf("error %d ", TF_GetCode(status));
  for (const char *c = TF_Message(status); *c; c++) putchar(*c == '\n' ? ' ' : *c);
  printf("\n");
}

int main(int argc, char **argv) {
  setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=-1 --tf_xla_enable_xla_devices=false", 1);
  status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  if (TF_GetCode(status) != TF_OK) fprintf(stderr, "load: %s\n", TF_Message(status)), exit(102);
  for (int i = 2; i < argc; i++) {
    TF_Output inputs[MOST], outputs[MOST];
    TF_Tensor *fed[MOST], *fetched[MOST];
    int fed_count = 0, fetched_count = 0;
    for (; strcmp(argv[i], "--"); i++) {
      char *equals = strchr(argv[i], '=');
      *equals = 0;
      inputs[fed_count] = find(graph, argv[i]);
      fed[fed_count++] = read_tensor(equals + 1);
    }
    for (i++; i < argc && strcmp(argv[i], "++"); i++) outputs[fetched_count++] = find(graph, argv[i]);
    TF_SessionRun(session, NULL, inputs, fed, fed_count, outputs, fetched, fetched_count, NULL, 0, NULL, status);
    if (TF_GetCode(status) != TF_OK) print_error();
    else for (int k = 0; k < fetched_count; k++) print_tensor(fetched[k]);
  }
  return 0;
}
